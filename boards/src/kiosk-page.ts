/**
 * A board's local page: large words, a picture, a colour and a sign for how it goes; below it what is asked (PIN pad, text,
 * list with pictures) and the buttons. Needs nothing but itself; works by touch and by keyboard.
 */
import { kioskScript } from './kiosk-script.ts'

const style = `
:root { color-scheme: light }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; grid-template-rows: 1fr auto auto auto; gap: 1rem; padding: 1.5rem;
  font: 1.6rem/1.4 system-ui, 'Noto Sans CJK JP', sans-serif; text-align: center; color: #111; background: #fff }
main { display: grid; place-content: center; gap: 1rem; min-width: 0 }
p { margin: 0; overflow-wrap: anywhere } #lines p:first-child { font-size: 2.4rem; font-weight: bold }
main img { max-width: 90vw; max-height: 45vh; justify-self: center }
main img:not([src]) { display: none }
body[data-tone=busy] { background: #fff6d6 } body[data-tone=good] { background: #dff5e1 } body[data-tone=problem] { background: #ffe1de }
#sign { font-size: 3rem; line-height: 1 }
[hidden] { display: none !important }
button, input { font: inherit; min-height: 3.5rem; padding: .4rem 1.2rem; border-radius: .6rem; border: 2px solid #555; background: #fff; color: #111 }
button { cursor: pointer } button.main { background: #0b4a8f; border-color: #0b4a8f; color: #fff }
:focus-visible { outline: 4px solid #c60; outline-offset: 2px }
#buttons { display: flex; flex-wrap: wrap; gap: 1rem; justify-content: center }
#buttons button { font-size: 1.8rem; min-width: 12rem }
#ask { border: 2px solid #555; border-radius: 1rem; background: #fff; padding: 1rem; width: min(100%, 60rem); justify-self: center }
#ask form { display: grid; gap: 1rem; justify-items: center }
#ask .hidden-digits { -webkit-text-security: disc; text-align: center; width: 12em; letter-spacing: .3em }
#ask .text { width: 100% } #ask .secret { -webkit-text-security: disc }
#pad { display: grid; grid-template-columns: repeat(3, 6rem); gap: .6rem }
#kana { display: grid; grid-template-columns: repeat(auto-fill, minmax(3.4rem, 1fr)); gap: .3rem; width: 100% }
#kana button { padding: 0; min-height: 3rem }
.row { display: flex; flex-wrap: wrap; gap: 1rem; justify-content: center }
#list { list-style: none; margin: 0; padding: 0; width: 100%; max-height: 55vh; overflow-y: auto; display: grid; gap: .6rem;
  grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)) }
#list button { width: 100%; height: 100%; display: grid; gap: .3rem; justify-items: center; align-content: center; overflow-wrap: anywhere }
#list img { width: 100%; height: 9rem; object-fit: contain; background: #eee } #list small { color: #444 }
#player { display: grid; justify-items: center } #player video, #player img { max-width: 100%; max-height: 60vh } #player audio { width: min(100%, 40rem) }
#gone { position: fixed; inset: 0; background: #fff; display: grid; place-content: center; padding: 2rem }
`

/** @param nonce of the page's own style and script */
export function kioskPage(nonce: string): { page: string; contentSecurityPolicy: string } {
  const own = `'nonce-${nonce}'`
  return {
    contentSecurityPolicy: `default-src 'none'; style-src ${own}; script-src ${own}; img-src 'self' data:; media-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'`,
    page: `<!doctype html>
<html lang="ja"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Azukari</title>
<link rel="icon" href="data:,">
<style nonce="${nonce}">${style}</style>
<body><main><div id="sign" aria-hidden="true"></div><div id="lines" role="status" aria-live="polite"></div><img alt=""></main>
<section id="player" hidden></section>
<section id="ask" role="dialog" aria-labelledby="prompt" hidden></section>
<nav id="buttons"></nav>
<div id="gone" role="alert" hidden><p lang="ja">機器につながりません。つながり次第、自動で再開します。起動し直した場合は、ページを開き直してください。</p>
<p lang="en">The device does not answer. The page goes on by itself; after a restart of the device, open it again.</p></div>
<script nonce="${nonce}">${kioskScript}</script>
</body></html>
`,
  }
}
