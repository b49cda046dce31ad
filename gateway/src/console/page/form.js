/** A command as a form: its options and what follows them, as the command itself names them. */
import { element } from './element.js'
import { word } from './words.js'

/** `ID`, `[ID]`, `DEVICE…`, `FILE` in the order in which they follow. */
export function positionalsOf({ positionals }) {
  return positionals
    .split(/\s+/)
    .filter((name) => name !== '')
    .map((name) => ({
      name: name.replace(/[[\]….]/g, ''),
      isOptional: name.startsWith('['),
      isMany: name.includes('…') || name.includes('...'),
    }))
}

/** The names under which a value of a row may be given to a command. */
export function fieldsOf(command) {
  const required = Object.entries(command.options).flatMap(([name, { required }]) => (required ? [name] : []))
  return [...positionalsOf(command).map(({ name }) => name.toLowerCase()), ...required]
}

/**
 * @param given values by the names of `fieldsOf`, to begin with
 * @returns the fields, and what the person has filled in
 */
export function formOf(command, given = {}) {
  const fields = [
    ...positionalsOf(command).map((one) => positionalField(command, one, given[one.name.toLowerCase()])),
    ...Object.entries(command.options)
      .sort(([, a], [, b]) => Number(b.required ?? false) - Number(a.required ?? false))
      .map(([name, option]) => optionField(command, name, option, given[name])),
  ]
  return {
    rows: fields.map(({ row }) => row),
    read: () => {
      const call = { command: command.name, values: {}, positionals: [], files: [] }
      for (const { take } of fields) take(call)
      return call
    },
  }
}

let labels = 0
function rowOf(label, what, control, isRequired) {
  const id = `field-${++labels}`
  control.id = id
  control.required = isRequired
  const hint = element('small', { id: `${id}-what`, textContent: what })
  control.setAttribute('aria-describedby', hint.id)
  const mark = isRequired ? element('span', { className: 'needed', textContent: word('required') }) : undefined
  return element('div', { className: 'field' }, element('label', { for: id }, label, mark), control, hint)
}

function positionalField({ filesIn }, { name, isOptional, isMany }, given) {
  const key = name.toLowerCase()
  const isFile = filesIn.includes(key) || (name === 'FILE' && filesIn.length > 0)
  if (isFile) {
    const control = element('input', { type: 'file' })
    const fileKey = filesIn.includes(key) ? key : filesIn[0]
    return {
      row: rowOf(name, '', control, !isOptional),
      take: (call) => {
        const [file] = control.files
        if (!file) return
        call.positionals.push(file.name)
        call.files.push({ name: fileKey, file })
      },
    }
  }
  const control = isMany
    ? element('textarea', { rows: 3, spellcheck: false })
    : element('input', { type: 'text', autocomplete: 'off', spellcheck: false })
  if (given !== undefined) control.value = given
  return {
    row: rowOf(name, isMany ? word('oneALine') : '', control, !isOptional),
    take: (call) => {
      const texts = (isMany ? control.value.split('\n') : [control.value]).map((text) => text.trim())
      call.positionals.push(...texts.filter((text) => text !== ''))
    },
  }
}

function optionField({ filesIn }, name, option, given) {
  const { type, what, multiple = false, required = false } = option
  if (filesIn.includes(name)) {
    const control = element('input', { type: 'file', multiple })
    return {
      row: rowOf(name, what, control, required),
      take: (call) => {
        const files = [...control.files]
        if (files.length === 0) return
        const names = files.map((file) => file.name)
        call.values[name] = multiple ? names : names[0]
        // Repeated ones are numbered, as the site knows them.
        call.files.push(...files.map((file, at) => ({ name: at === 0 ? name : `${name}.${at}`, file })))
      },
    }
  }
  if (type === 'boolean') {
    const control = element('input', { type: 'checkbox' })
    return {
      row: rowOf(name, what, control, false),
      take: (call) => {
        if (control.checked) call.values[name] = true
      },
    }
  }
  const control = multiple
    ? element('textarea', { rows: 2, spellcheck: false })
    : element('input', {
        type: name === 'date' ? 'date' : name === 'password' ? 'password' : 'text',
        autocomplete: 'off',
        spellcheck: false,
        placeholder: option.default ?? '',
      })
  if (given !== undefined) control.value = given
  return {
    row: rowOf(name, multiple ? `${what} (${word('oneALine')})` : what, control, required),
    take: (call) => {
      const texts = (multiple ? control.value.split('\n') : [control.value]).map((text) => text.trim()).filter(Boolean)
      if (multiple && texts.length > 0) call.values[name] = texts
      if (!multiple && (texts[0] ?? option.default) !== undefined) call.values[name] = texts[0] ?? option.default
    },
  }
}
