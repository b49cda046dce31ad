/** The page of a kiosk display: large words, a picture, a colour and a sign for how it goes. Needs nothing but itself. */
const style = `
:root { color-scheme: light }
body { margin: 0; min-height: 100vh; display: grid; place-content: center; gap: 1.5rem; padding: 2rem; box-sizing: border-box;
  font: 2rem/1.4 system-ui, 'Noto Sans CJK JP', sans-serif; text-align: center; color: #111; background: #fff }
p { margin: 0 } p:first-child { font-size: 3rem; font-weight: bold }
img { max-width: 90vw; max-height: 50vh; justify-self: center }
img:not([src]) { display: none }
body[data-tone=busy] { background: #fff6d6 } body[data-tone=good] { background: #dff5e1 } body[data-tone=problem] { background: #ffe1de }
#sign { font-size: 4rem }
`
const script = `
const lines = document.querySelector('#lines'), picture = document.querySelector('img'), sign = document.querySelector('#sign')
const signs = { busy: '…', good: '✓', problem: '!' }
new EventSource('/events').onmessage = ({ data }) => {
  const shown = JSON.parse(data)
  document.body.dataset.tone = shown.tone
  sign.textContent = signs[shown.tone] ?? ''
  lines.replaceChildren(...shown.lines.map((line) => Object.assign(document.createElement('p'), { textContent: line })))
  if (shown.picture) picture.src = shown.picture
  else picture.removeAttribute('src')
  // Two frames later it has been drawn; a browser that nothing hides, and that makes no frames, has drawn it soon after.
  let isTold = false
  const tell = () => {
    if (isTold) return
    isTold = true
    fetch('/seen', { method: 'POST', body: String(shown.n) }).catch(() => undefined)
  }
  requestAnimationFrame(() => requestAnimationFrame(tell))
  if (!document.hidden) setTimeout(tell, 500)
}
`

/** @param nonce of the page's own style and script */
export function kioskPage(nonce: string): { page: string; contentSecurityPolicy: string } {
  const own = `'nonce-${nonce}'`
  return {
    contentSecurityPolicy: `default-src 'none'; style-src ${own}; script-src ${own}; img-src data:; connect-src 'self'; frame-ancestors 'none'`,
    page: `<!doctype html>
<html lang="ja"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Azukari</title>
<style nonce="${nonce}">${style}</style>
<body><div id="sign" aria-hidden="true"></div><div id="lines" role="status" aria-live="polite"></div><img alt="">
<script nonce="${nonce}">${script}</script>
</body></html>
`,
  }
}
