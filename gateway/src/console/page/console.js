/** The operators' console. It shows what the commands of a site say of themselves, and keeps nothing but this tab's session. */
import { showAnswer, showFile } from './answer.js'
import { callSite, Refused, session } from './calls.js'
import { button, element } from './element.js'
import { fieldsOf, formOf } from './form.js'
import { language, speak, word } from './words.js'

const repeatMs = 30_000
const commands = await (await fetch('commands.json')).json()
/** Who is signed in: `{ operator, roles, until }`. */
let person

await start()

async function start() {
  document.documentElement.lang = language
  document.title = word('title')
  if (!session.token) return showSignIn()
  try {
    person = (await callSite({ command: 'whoami' })).json
  } catch (error) {
    return isEnded(error) ? showSignIn(word('ended')) : showSignIn(lines(error).join(' '))
  }
  showShell()
}

function isEnded(error) {
  return error instanceof Refused && error.problem.code === 'operator.unauthenticated'
}

/** What went wrong and what to do. */
function lines(error) {
  if (!(error instanceof Refused)) return [word('lost')]
  const { title, todo, detail, code } = error.problem
  return [title, detail, todo, code].filter(Boolean)
}

function problemOf(error) {
  return element(
    'div',
    { className: 'problem', role: 'alert' },
    ...lines(error).map((textContent) => element('p', { textContent })),
  )
}

function showSignIn(told = '') {
  session.token = undefined
  const name = element('input', {
    type: 'text',
    autocomplete: 'username',
    required: true,
    id: 'name',
    spellcheck: false,
  })
  const password = element('input', {
    type: 'password',
    autocomplete: 'current-password',
    required: true,
    id: 'password',
  })
  const code = element('input', { type: 'text', autocomplete: 'one-time-code', inputMode: 'numeric', id: 'code' })
  const said = element('p', { className: 'problem', role: 'alert', textContent: told, hidden: told === '' })
  const go = element('button', { type: 'submit', textContent: word('signIn') })
  const form = element(
    'form',
    { className: 'sign-in' },
    element('h1', { textContent: word('title') }),
    said,
    ...[
      ['name', name],
      ['password', password],
      ['code', code],
    ].map(([label, control]) =>
      element('div', { className: 'field' }, element('label', { for: control.id, textContent: word(label) }), control),
    ),
    go,
    languageButton(),
  )
  form.onsubmit = async (event) => {
    event.preventDefault()
    go.disabled = true
    const values = { name: name.value.trim(), password: password.value }
    if (code.value.trim() !== '') values.code = code.value.trim()
    try {
      session.token = (await callSite({ command: 'login', values })).json.token
      await start()
    } catch (error) {
      said.textContent = lines(error).join(' ')
      said.hidden = false
      password.value = ''
      password.focus()
    } finally {
      go.disabled = false
    }
  }
  document.body.replaceChildren(element('main', {}, form))
  name.focus()
}

function languageButton() {
  return button(
    word('language'),
    () => {
      speak(language === 'ja' ? 'en' : 'ja')
      void start()
    },
    { className: 'quiet', lang: language === 'ja' ? 'en' : 'ja' },
  )
}

function mayCall({ role }) {
  return person.roles.includes(role)
}

function showShell() {
  const main = element('main', { id: 'main', tabIndex: -1 })
  const search = element('input', { type: 'search', placeholder: word('find'), 'aria-label': word('find') })
  const list = element('div', { className: 'commands' })
  const none = element('p', { className: 'quiet', textContent: word('none'), hidden: true })
  const groups = Map.groupBy(commands.filter(mayCall), ({ group }) => group)
  for (const [group, members] of groups)
    list.append(
      element(
        'details',
        { open: groups.size < 6 },
        element('summary', { textContent: group }),
        ...members.map(({ name }) =>
          element('a', { href: `#${encodeURIComponent(name)}`, textContent: name, data: { name } }),
        ),
      ),
    )
  search.oninput = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean)
    let found = 0
    for (const link of list.querySelectorAll('a')) {
      const { what } = commands.find(({ name }) => name === link.dataset.name)
      link.hidden = !words.every((part) => `${link.dataset.name} ${what}`.toLowerCase().includes(part))
      if (!link.hidden) found++
    }
    for (const group of list.querySelectorAll('details')) {
      group.hidden = !group.querySelector('a:not([hidden])')
      group.open = words.length > 0 || groups.size < 6
    }
    none.hidden = found > 0
  }
  const menu = element(
    'nav',
    { 'aria-label': word('menu') },
    element('a', { href: '#', textContent: word('home'), className: 'home' }),
    search,
    list,
    none,
  )
  const until = element('span', {
    className: 'quiet',
    textContent: `${person.operator} · ${person.roles.join(', ')}`,
    title: `${word('until')} ${person.until}`,
  })
  const header = element(
    'header',
    {},
    element('a', { href: '#main', className: 'skip', textContent: '→', 'aria-label': word('skip') }),
    element('img', { src: 'mark.svg', alt: '', width: 28, height: 28 }),
    element('strong', { textContent: word('title') }),
    until,
    languageButton(),
    button(word('signOut'), () => void signOut(), { className: 'quiet' }),
  )
  document.body.replaceChildren(header, element('div', { className: 'columns' }, menu, main))
  const show = () => {
    const [encoded = '', query = ''] = location.hash.slice(1).split('?')
    const command = commands.find(({ name }) => encodeURIComponent(name) === encoded)
    for (const link of menu.querySelectorAll('a')) {
      const isHere = link.getAttribute('href') === `#${encoded}`
      if (isHere) {
        link.setAttribute('aria-current', 'page')
        const group = link.closest('details')
        if (group) group.open = true
      } else link.removeAttribute('aria-current')
    }
    main.replaceChildren(
      command && mayCall(command) ? commandView(command, Object.fromEntries(new URLSearchParams(query))) : homeView(),
    )
  }
  window.onhashchange = () => {
    show()
    main.focus()
  }
  window.onkeydown = (event) => {
    if (event.key !== '/' || /^(INPUT|TEXTAREA)$/.test(event.target.tagName)) return
    event.preventDefault()
    search.focus()
  }
  show()
}

async function signOut() {
  await callSite({ command: 'logout' }).catch(() => undefined)
  showSignIn()
}

function homeView() {
  const waiting = element('section', { 'aria-label': word('waiting') })
  void showWaiting(waiting)
  const reads = commands.filter((command) => mayCall(command) && command.isRead && fieldsOf(command).length === 0)
  const look = element(
    'section',
    {},
    element('h2', { textContent: word('look') }),
    element('p', { className: 'quiet', textContent: word('lookHint') }),
    element(
      'div',
      { className: 'cards' },
      ...reads.map(({ name, what }) =>
        element(
          'a',
          { href: `#${encodeURIComponent(name)}?go=1`, className: 'card' },
          element('b', { textContent: name }),
          element('span', { textContent: what }),
        ),
      ),
    ),
  )
  return element('div', {}, element('h1', { textContent: word('home') }), waiting, reads.length > 0 ? look : undefined)
}

/**
 * What a second person is waited for, and what they may do about it.
 *
 * @param done what was confirmed or declined here: its answer stays, as a key or a file in it is given this once
 */
async function showWaiting(section, done = []) {
  const heading = element('h2', { textContent: word('waiting') })
  let rows
  try {
    rows = (await callSite({ command: 'pending' })).json
  } catch (error) {
    if (isEnded(error)) return showSignIn(word('ended'))
    return section.replaceChildren(heading, problemOf(error), ...done)
  }
  const reload = button(word('reload'), () => void showWaiting(section, done), { className: 'quiet' })
  const views = rows.map((row) => waitingView(row, (view) => showWaiting(section, [view, ...done])))
  if (views.length === 0) views.push(element('p', { textContent: word('waitingNone') }))
  section.replaceChildren(heading, ...views, reload, ...done)
}

function waitingView({ id, began, isYours, command: name, values, positionals, expiresMs }, settled) {
  const command = commands.find((one) => one.name === name)
  const words = [name, ...positionals, ...Object.entries(values).map(([option, value]) => `--${option} ${value}`)].join(
    ' ',
  )
  const out = element('div', { className: 'out', 'aria-live': 'polite' })
  const isGiving = (command?.filesOut.length ?? 0) > 0
  const saveAs = element('input', {
    type: 'text',
    value: `${name.replaceAll(' ', '-')}.txt`,
    'aria-label': word('saveAs'),
  })
  const act = async (how) => {
    const values = how === 'confirm' && isGiving ? { out: saveAs.value.trim() } : {}
    if (!(await carryOut({ command: how, values, positionals: [id] }, out, saveAs.value.trim()))) return
    view.replaceChildren(code, out)
    await settled(view)
  }
  const code = element('code', { textContent: words })
  const view = element(
    'article',
    { className: 'waiting' },
    code,
    element('p', {
      className: 'quiet',
      textContent: `${isYours ? word('yours') : `${word('began')} ${began}`} · ${word('until')} ${new Date(expiresMs).toLocaleString(language)}`,
    }),
    !isYours && isGiving
      ? element('div', { className: 'field' }, element('label', { textContent: word('saveAs') }, saveAs))
      : undefined,
    isYours ? undefined : button(word('confirm'), () => void act('confirm')),
    button(word('decline'), () => void act('decline'), { className: 'quiet' }),
    out,
  )
  return view
}

/** A command: what it does, its fields, and what it answered. */
function commandView(command, { go, ...given }) {
  const { name, what, twoPeople, isRead } = command
  const form = formOf(command, given)
  const out = element('div', { className: 'out', 'aria-live': 'polite' })
  const submit = element('button', { type: 'submit', textContent: word(twoPeople ? 'begin' : 'carryOut') })
  const repeat = element('input', { type: 'checkbox' })
  const view = element(
    'form',
    { className: 'command' },
    element('h1', { textContent: name }),
    element('p', { textContent: what }),
    twoPeople ? element('p', { className: 'two', textContent: word('twoPeople') }) : undefined,
    ...form.rows,
    submit,
    isRead ? element('label', { className: 'repeat' }, repeat, word('repeat')) : undefined,
    out,
  )
  const run = async () => {
    const call = form.read()
    const saveAs = command.filesOut.map((option) => call.values[option]).find(Boolean)
    // Not `disabled`: that would take the place of whoever works by the keyboard.
    submit.setAttribute('aria-disabled', 'true')
    await carryOut(call, out, saveAs, (row) => actionsFor(command, row))
    submit.removeAttribute('aria-disabled')
  }
  view.onsubmit = (event) => {
    event.preventDefault()
    if (!submit.hasAttribute('aria-disabled')) void run()
  }
  repeat.onchange = () => {
    const again = async () => {
      if (!repeat.checked || !view.isConnected) return
      await run()
      setTimeout(again, repeatMs)
    }
    void again()
  }
  if (go && isRead) void run()
  return view
}

/** Commands of the same group that take something which a row has by that name. */
function actionsFor({ group, name: own }, row) {
  return commands
    .filter((command) => command.group === group && command.name !== own && mayCall(command))
    .flatMap((command) => {
      const given = fieldsOf(command).filter(
        (field) => typeof row[field] === 'string' || typeof row[field] === 'number',
      )
      if (given.length === 0) return []
      const query = new URLSearchParams(given.map((field) => [field, String(row[field])]))
      const open = () => {
        location.hash = `#${encodeURIComponent(command.name)}?${query}`
      }
      return [{ label: command.name, run: open }]
    })
}

/** Carries a call out and shows how it goes. Resolves to whether it was done. */
async function carryOut(call, out, saveAs, rowActions) {
  const leaving = new AbortController()
  const progress = element('ul', { className: 'progress' })
  const stop = button(word('stop'), () => leaving.abort(), { className: 'quiet' })
  const state = element('p', { className: 'state', textContent: word('working') })
  out.replaceChildren(state, stop, progress)
  try {
    const answer = await callSite(call, {
      signal: leaving.signal,
      tell: (line) => {
        progress.append(element('li', { textContent: line }))
        while (progress.childElementCount > 500) progress.firstElementChild.remove()
      },
      give: (file) => out.append(showFile(file, saveAs)),
    })
    state.textContent = answer.exit === 0 ? `✓ ${word('done')}` : `✗ ${word('failed')}`
    state.classList.add(answer.exit === 0 ? 'good' : 'bad')
    out.append(showAnswer(answer, rowActions))
    return answer.exit === 0
  } catch (error) {
    if (isEnded(error)) {
      showSignIn(word('ended'))
      return false
    }
    state.remove()
    out.append(leaving.signal.aborted ? element('p', { textContent: word('stopped') }) : problemOf(error))
    return false
  } finally {
    stop.remove()
  }
}
