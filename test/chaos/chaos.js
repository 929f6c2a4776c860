/**
 * The fault harness: strikes real builds, with Packer and on a machine behind a real sshd, at random points. Then it does what a
 * user does next, and checks that nothing is lost, doubled or left behind.
 *
 *   make chaos              200 rounds
 *   make chaos N=20 SEED=7  20 other rounds; `ROUND=N` repeats only that round of a seed
 */
import { parseArgs } from "node:util"
import { bareBuilds, bareFaults, playBare } from "./bare.js"
import { builds } from "./builds.js"
import { faults } from "./faults.js"
import { check } from "./invariants.js"
import { Lab, pause } from "./lab.js"
import { next, nothingRecorded } from "./next.js"
import { randomFrom } from "./random.js"

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    round: { type: "string", default: "" },
    /** Every tenth round builds a real machine. */
    machines: { type: "boolean", default: false },
    /** Also strikes plain Packer with the same faults. */
    bare: { type: "boolean", default: false },
    /** Keeps the folder of a failed round. */
    keep: { type: "boolean", default: false }
  }
})
const rounds = Number(values.rounds)
const seed = Number(values.seed)
const isRoot = process.getuid?.() === 0

/**
 * Of ten rounds. A real machine takes long, so it is included only on request.
 * @type {ReadonlyArray<import("./builds.js").Kind>}
 */
const kinds = [
  values.machines ? "machine" : "quick",
  "quick",
  "attach",
  "hub",
  "quick",
  "attach",
  "quick",
  "hub",
  "attach",
  "quick"
]
const kindOf = (/** @type {number} */ round) => kinds[round % kinds.length] ?? "quick"

/**
 * The fault of a round. Faults take turns with each kind of build, so that none is left out; only the time is random.
 * @param {number} round
 */
const faultOf = (round) => {
  const kind = kindOf(round)
  const possible = faults.filter(
    ({ builds: upon, rootOnly = false }) => upon.includes(kind) && (isRoot || !rootOnly)
  )
  const earlier = Array.from({ length: round }, (_, before) => before).filter((one) => kindOf(one) === kind)
  const fault = possible[(seed + earlier.length) % possible.length]
  if (fault === undefined) throw new Error("there are no faults")
  return fault
}

/** @type {Map<string, { kind: import("./builds.js").Kind, name: string, rounds: number, states: Map<string, number>, broken: number }>} */
const table = new Map()
let failures = 0

/** @param {number} number */
const play = async (number) => {
  const random = randomFrom(seed * 1_000_003 + number)
  const kind = kindOf(number)
  const fault = faultOf(number)
  const lab = new Lab()
  let keep = false
  try {
    fault.before?.(lab)
    const build = await builds[kind](lab)
    const at = random.between(0, build.seconds)
    const [then, act] = random.pick(Object.entries(next))
    const command = lab.start(build.words)
    await pause(at)
    await fault.strike({ lab, command, random })
    const created = await command.ended
    const list = await lab.run("list", "--all", "-q")
    const [id] = list.stdout.trim().split("\n")
    const came = await (id === undefined || id === "" ? nothingRecorded(lab) : act(lab, id))
    const { broken: found, state } = await check(lab, {
      ends: came.ends ?? fault.ends,
      reasons: fault.reasons,
      build,
      losesOutput: fault.losesOutput ?? false
    })
    const broken = [...(came.broken ?? []), ...found]
    const key = `${fault.name}/${kind}`
    const row = table.get(key) ?? { kind, name: fault.name, rounds: 0, states: new Map(), broken: 0 }
    row.rounds++
    row.states.set(state, (row.states.get(state) ?? 0) + 1)
    table.set(key, row)
    process.stdout.write(
      `${broken.length === 0 ? "ok  " : "FAIL"} ${number} ${kind} at ${at.toFixed(2)} s: ${fault.name}; ${then} → ${state} (create ended ${created.exitCode})\n`
    )
    if (broken.length === 0) return
    row.broken++
    failures++
    keep = values.keep
    for (const line of broken) process.stdout.write(`     ${line}\n`)
    if (keep) process.stdout.write(`     kept in ${lab.folder} ${lab.machine?.folder ?? ""}\n`)
  } finally {
    await lab.end()
    if (!keep) await lab.remove()
  }
}

if (values.round !== "") await play(Number(values.round))
else for (let number = 1; number <= rounds; number++) await play(number)

/** @param {{ readonly name: string, readonly kind: string, readonly times: number }} row */
const label = ({ kind, name, times }) => `${name.padEnd(58)} ${kind.padEnd(7)} ${String(times).padStart(3)}`

process.stdout.write("\n")
const order = faults.map(({ name }) => name)
const rows = [...table.values()].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
for (const { broken, kind, name, rounds: times, states } of rows) {
  const all = [...states].map(([state, count]) => `${state} ${count}`).join(", ")
  process.stdout.write(`${label({ name, kind, times })}  ${all}; ${broken} broken\n`)
}

if (values.bare) {
  process.stdout.write("\nthe same against packer build alone\n")
  for (const { kind, name, rounds: times } of rows) {
    const strike = bareFaults[name]
    const build = bareBuilds[kind]
    if (strike === undefined || build === undefined) continue
    const sums = { made: 0, orphans: 0, left: 0 }
    for (let number = 1; number <= times; number++) {
      const at = randomFrom(seed * 1_000_003 + number).between(...build.between)
      const { left, made, orphans } = await playBare(strike, build, at)
      sums.made += made ? 1 : 0
      sums.orphans += orphans
      sums.left += left
    }
    process.stdout.write(
      `${label({ name, kind, times })}  image made ${sums.made}, processes left ${sums.orphans}, files left ${sums.left}\n`
    )
  }
}

const played = rows.reduce((sum, row) => sum + row.rounds, 0)
process.stdout.write(`\n${played - failures} passed, ${failures} failed\n`)
process.exitCode = failures === 0 ? 0 : 1
