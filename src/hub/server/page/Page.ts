/** A page that shows notes as they come: text alone, and nothing from anywhere else. */
import { createHash } from "node:crypto"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"

const style = `
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
li { display: flex; gap: 1rem } ol { list-style: none; padding: 0 }
time { color: #666; flex: none; font-variant-numeric: tabular-nums } .failed { color: #b00 }
span { min-width: 0; overflow-wrap: anywhere }
`

// A note gets into the page by textContent; the token stays in this script's memory.
const script = `
const byId = (id) => document.getElementById(id)
const [list, state, form] = ["notes", "state", "form"].map(byId)
let token = "", last = 0
const ask = (path) => fetch(path, { headers: token === "" ? {} : { authorization: "Bearer " + token } })
const pause = () => new Promise((resolve) => setTimeout(resolve, 1000))
const show = (note) => {
  const [line, time, text] = ["li", "time", "span"].map((name) => document.createElement(name))
  time.textContent = new Date(note.occurred_at).toLocaleTimeString()
  text.textContent = note.summary.slice(0, 1000)
  if (note.event_type === "failed") text.className = "failed"
  line.append(time, text)
  list.prepend(line)
  while (list.childElementCount > 500) list.lastElementChild.remove()
  last = note.position
}
const begin = async () => {
  const answer = await ask("/notes?order=newest&limit=50")
  form.hidden = answer.status !== 401
  if (!answer.ok) throw new Error(answer.status === 401 ? "this hub wants its token" : "answer " + answer.status)
  if (last === 0) (await answer.json()).items.reverse().forEach(show)
}
const follow = async () => {
  const answer = await ask("/notes/stream?cursor=" + last)
  if (!answer.ok) throw new Error("answer " + answer.status)
  state.textContent = "live"
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
  for (let rest = ""; ; ) {
    const { done, value } = await reader.read()
    if (done) throw new Error("the hub ended the stream")
    const lines = (rest + value).split("\\n")
    rest = lines.pop()
    for (const line of lines) if (line.startsWith("data: ")) show(JSON.parse(line.slice(6)))
  }
}
form.addEventListener("submit", (event) => { event.preventDefault(); token = form.elements.token.value })
for (;;) {
  try { await begin(); await follow() } catch (error) { state.textContent = error.message }
  await pause()
}
`

const html = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>State Hub</title><style>${style}</style>
<h1>State Hub</h1><p id="state">connecting</p>
<form id="form" hidden><label>Token <input name="token" type="password" autocomplete="off"></label> <button>Show</button></form>
<ol id="notes"></ol><script type="module">${script}</script></html>
`

const source = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

const policy = [
  "default-src 'none'",
  `script-src ${source(script)}`,
  `style-src ${source(style)}`,
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join("; ")

export const page = HttpServerResponse.text(html, {
  contentType: "text/html; charset=utf-8",
  headers: { "content-security-policy": policy, "referrer-policy": "no-referrer" }
})
