/** The enrolment page as HTML: no script, nothing from elsewhere, usable with a keyboard and a screen reader (WCAG 2.2 AA). */
import { hash } from 'node:crypto'
import type { MemberKind } from '@azukari/protocol/contracts/settlement-members'
import { describe } from '@azukari/protocol/problem'
import type { Field, FieldProblem, Filled } from './form.ts'
import { type Lang, words } from './words.ts'

const style = `body{font-family:sans-serif;color:#1c2430;background:#fff;max-width:44rem;margin:1.5rem auto;padding:0 1rem;line-height:1.7}
label{display:block;font-weight:bold;margin-top:1rem}.hint{font-weight:normal;color:#47515e}input,select{font:inherit;padding:.4rem;width:100%;max-width:30rem;border:1px solid #5b6673;border-radius:3px}
label.agree{display:inline}input[type=checkbox]{width:1.4rem;height:1.4rem;vertical-align:middle;margin-right:.5rem}[aria-invalid=true]{border:2px solid #a3242a}.error{color:#a3242a;font-weight:bold}
.problems{border:2px solid #a3242a;padding:.5rem 1rem}.conditions{border:1px solid #5b6673;padding:.5rem 1rem;max-height:16rem;overflow:auto;white-space:pre-line}
button,.button{font:inherit;font-weight:bold;display:inline-block;margin-top:1rem;padding:.6rem 1.4rem;background:#1d5c96;color:#fff;border:0;border-radius:3px;text-decoration:none}
:focus-visible{outline:3px solid #b3541e;outline-offset:2px}fieldset{margin-top:1.5rem;border:1px solid #b9c1ca}.never{background:#fdf3e7;padding:.6rem 1rem}`

/** For the header: forms go back here, styles are these, nothing else happens. */
export const pagePolicy = `default-src 'none'; style-src 'sha256-${hash('sha256', style, 'base64')}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`

export interface Terms {
  version: string
  text: string
  guide: string
}

export function startPage(lang: Lang, { guide }: Terms): string {
  const say = words[lang]
  return page(
    lang,
    '/',
    `<p>${text(guide)}</p><ol>${say.steps.map((step) => `<li>${text(step)}</li>`).join('')}</ol>
<p class="never">${text(say.never)}</p><p>${text(say.start)}</p>
<p><a class="button" href="/apply?kind=general&amp;lang=${lang}">${text(say.general)}</a></p>
<p><a class="button" href="/apply?kind=shop&amp;lang=${lang}">${text(say.shop)}</a></p>`,
  )
}

export interface FormState {
  kind: MemberKind
  ticket: string
  terms: Terms
  filled: Filled
  problems: readonly FieldProblem[]
}

export function formPage(lang: Lang, { kind, ticket, terms, filled, problems }: FormState): string {
  const say = words[lang]
  const wrong = new Map(problems.map(({ field, code }) => [field, code]))
  const required: ReadonlySet<Field> = new Set<Field>([
    ...(['name', 'kana', 'postcode', 'address'] as const),
    ...(kind === 'shop' ? (['bank', 'branch', 'accountKind', 'accountNumber', 'holder'] as const) : []),
  ])
  const attributes = (field: Field) => {
    const { hint } = say.fields[field]
    const described = [...(hint ? [`${field}-hint`] : []), ...(wrong.has(field) ? [`${field}-error`] : [])]
    return `id="${field}" name="${field}"${wrong.has(field) ? ' aria-invalid="true"' : ''}${described.length > 0 ? ` aria-describedby="${described.join(' ')}"` : ''}`
  }
  const head = (field: Field) => {
    const { label, hint } = say.fields[field]
    const code = wrong.get(field)
    return `<label for="${field}">${text(label)}${required.has(field) ? text(say.needed) : ''}${hint ? ` <span class="hint" id="${field}-hint">${text(hint)}</span>` : ''}</label>${
      code ? `<p class="error" id="${field}-error">${text(describe(code, lang).title)}</p>` : ''
    }`
  }
  // What is required is judged here and told in words; the browser's own bubbles would hide all but the first problem.
  const input = (field: Field, more: string) =>
    `${head(field)}<input ${attributes(field)} ${more} value="${text(filled[field] ?? '')}">`
  const kinds = (['ordinary', 'current', 'savings'] as const).map(
    (one) => `<option value="${one}"${filled.accountKind === one ? ' selected' : ''}>${text(say.kinds[one])}</option>`,
  )
  return page(
    lang,
    `/apply?kind=${kind}`,
    `<h2>${text(kind === 'shop' ? say.shop : say.general)}</h2>${problemList(lang, problems)}
<form method="post" action="/apply?lang=${lang}" novalidate>
<input type="hidden" name="ticket" value="${text(ticket)}"><input type="hidden" name="terms" value="${text(terms.version)}">
${input('name', 'maxlength="100" autocomplete="name"')}
${input('kana', 'maxlength="100"')}
${input('postcode', 'maxlength="16" autocomplete="postal-code" inputmode="numeric"')}
${input('address', 'maxlength="200" autocomplete="street-address"')}
${input('email', 'type="email" maxlength="200" autocomplete="email"')}
<fieldset><legend>${text(say.account)}</legend><p>${text(kind === 'shop' ? say.accountShop : say.accountGeneral)}</p>
${input('bank', 'maxlength="8" inputmode="numeric" autocomplete="off"')}
${input('branch', 'maxlength="8" inputmode="numeric" autocomplete="off"')}
${head('accountKind')}<select ${attributes('accountKind')}>${kinds.join('')}</select>
${input('accountNumber', 'maxlength="16" inputmode="numeric" autocomplete="off"')}
${input('holder', 'maxlength="60" autocomplete="off"')}</fieldset>
${kind === 'shop' ? input('invoiceNumber', 'maxlength="20" autocomplete="off"') : ''}
<h3 id="terms">${text(`${say.terms} ${terms.version}`)}</h3>
<div class="conditions" role="region" aria-labelledby="terms" tabindex="0">${text(terms.text)}</div>
<p>${wrong.has('agree') ? `<span class="error" id="agree-error">${text(describe('apply.agree', lang).title)}</span><br>` : ''}<input type="checkbox" ${attributes('agree')} value="yes"${filled.agree === 'yes' ? ' checked' : ''}><label for="agree" class="agree">${text(say.fields.agree.label)}</label></p>
<button type="submit">${text(say.send)}</button>
</form>`,
  )
}

/** @param reference of the application, for enquiries */
export function receivedPage(lang: Lang, reference: string): string {
  const say = words[lang]
  return page(
    lang,
    '/',
    `<h2>${text(say.received)}</h2><p>${text(say.reference)} <strong id="reference">${text(reference)}</strong></p>
<ol>${say.next.map((step) => `<li>${text(step)}</li>`).join('')}</ol><p class="never">${text(say.never)}</p>`,
  )
}

export function problemPage(lang: Lang, code: string): string {
  const { title, todo } = describe(code, lang)
  return page(
    lang,
    '/',
    `<div class="problems" role="alert"><h2>${text(title)}</h2><p>${text(todo)}</p><p><code>${text(code)}</code></p></div>
<p><a href="/?lang=${lang}">${text(words[lang].title)}</a></p>`,
  )
}

function problemList(lang: Lang, problems: readonly FieldProblem[]): string {
  if (problems.length === 0) return ''
  const lines = problems.map(({ field, code }) => {
    const { title, todo } = describe(code, lang)
    return `<li><a href="#${field}">${text(title)}</a> ${text(todo)} <code>${text(code)}</code></li>`
  })
  return `<div class="problems" role="alert" tabindex="-1"><h2>${text(words[lang].problems)}</h2><ul>${lines.join('')}</ul></div>`
}

function page(lang: Lang, path: string, body: string): string {
  const say = words[lang]
  const other = lang === 'ja' ? 'en' : 'ja'
  const join = path.includes('?') ? '&amp;' : '?'
  return `<!doctype html>
<html lang="${lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${text(say.title)}</title>
<style>${style}</style></head><body>
<p><a href="${path.replaceAll('&', '&amp;')}${join}lang=${other}" lang="${other}" hreflang="${other}">${text(say.other)}</a></p>
<main><h1>${text(say.title)}</h1>
${body}
</main></body></html>
`
}

function text(value: string): string {
  return value
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
}
