/**
 * Completion for shells: `PROGRAM completion bash|zsh|fish` prints what a shell is to read. It asks the program itself
 * (`completion words -- …`), which answers from its table of commands, so that nothing has to be kept up to date.
 */
import { Problem } from '../problem.ts'
import type { Program } from './command.ts'

export const shells = ['bash', 'zsh', 'fish'] as const

/** What to print. @throws {Problem} `command.invalid` for another shell */
export function completion(program: Program, words: readonly string[]): string {
  const [first = '', mark, ...typed] = words
  if (first === 'words' && mark === '--') return candidates(program, typed).join('\n')
  if (words.includes('--help'))
    return `${program.name} completion ${shells.join('|')}\n      Prints a script that completes commands and options in a shell.`
  const shell = shells.find((name) => name === first)
  if (!shell || words.length > 1)
    throw new Problem('command.invalid', `${program.name} completion takes one of ${shells.join(', ')}`)
  return scripts[shell](program.name, `_${program.name.replaceAll('-', '_')}`)
}

/**
 * What the last of the words, which may be unfinished, can become: the next word of a command, or an option.
 * Nothing where a value is due: shells then offer files.
 */
export function candidates({ commands }: Program, words: readonly string[]): string[] {
  const unfinished = words.at(-1) ?? ''
  const before = words.slice(0, -1)
  const firstOption = before.findIndex((word) => word.startsWith('-'))
  const spoken = firstOption === -1 ? before : before.slice(0, firstOption)
  const named = [3, 2, 1]
    .map((length) => spoken.slice(0, length).join(' '))
    .find((name) => Object.hasOwn(commands, name))
  const options = named === undefined ? {} : commands[named]!.options
  const previous = before.at(-1) ?? ''
  if (previous.startsWith('--') && options[previous.slice(2)]?.type === 'string') return []
  if (unfinished.startsWith('-')) {
    const given = (name: string) => before.some((word) => word === name || word.startsWith(`${name}=`))
    return [...Object.keys(options), 'help', 'json']
      .map((name) => `--${name}`)
      .filter((name) => name.startsWith(unfinished) && (!given(name) || options[name.slice(2)]?.multiple))
  }
  if (firstOption !== -1) return []
  const next = Object.keys(commands)
    .map((name) => name.split(' '))
    .filter((name) => name.length > spoken.length && spoken.every((word, at) => word === name[at]))
    .map((name) => name[spoken.length]!)
  if (spoken.length === 0) next.push('completion')
  return [...new Set(next)].filter((word) => word.startsWith(unfinished)).sort()
}

const scripts: Readonly<Record<(typeof shells)[number], (program: string, name: string) => string>> = {
  bash: (program, name) => `# In ~/.bashrc: source <(${program} completion bash)
${name}() {
  local IFS=$'\\n'
  COMPREPLY=($(${program} completion words -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F ${name} ${program}`,
  zsh: (program, name) => `#compdef ${program}
# In ~/.zshrc, after compinit: source <(${program} completion zsh)
${name}() {
  local -a found
  found=("\${(@f)$(${program} completion words -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${found[*]}" ]]; then compadd -a found; else _files; fi
}
compdef ${name} ${program}`,
  fish: (program) => `# ${program} completion fish > ~/.config/fish/completions/${program}.fish
complete -c ${program} -a '(${program} completion words -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'`,
}
