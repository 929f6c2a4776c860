/**
 * The fault harness: real builds with Packer are hit at random points; then a user does what users do next, and nothing
 * may be lost, doubled or left.
 *
 *   make chaos              200 rounds
 *   make chaos N=20 SEED=7  others; a round says its own seed, and `ROUND=N` runs that one alone
 */
import { parseArgs } from "node:util"
import { bareFaults, playBare } from "./bare.js"
import { machineBuild, quickBuild } from "./builds.js"
import { faults } from "./faults.js"
import { check } from "./invariants.js"
import { Lab, pause } from "./lab.js"
import { randomFrom } from "./random.js"

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    round: { type: "string", default: "" },
    /** Every tenth round is a real machine. */
    machines: { type: "boolean", default: false },
    /** The same faults against Packer alone, too. */
    bare: { type: "boolean", default: false },
    /** Leaves the folder of a round that went wrong. */
    keep: { type: "boolean", default: false }
  }
})
const rounds = Number(values.rounds)
const seed = Number(values.seed)
const isRoot = process.getuid?.() === 0

/** A build with a machine takes its time: every tenth round has one. */
const hasMachine = (/** @type {number} */ round) => values.machines && round % 10 === 0

/** @type {Map<string, { rounds: number, states: Map<string, number>, broken: number }>} */
const table = new Map()
let failures = 0

/** @param {number} number */
const play = async (number) => {
  const random = randomFrom(seed * 1_000_003 + number)
  const machine = hasMachine(number)
  const possible = faults.filter(
    ({ quickOnly = false, rootOnly = false }) => !(machine && quickOnly) && (isRoot || !rootOnly)
  )
  // Each in its turn, so that none is left out; the point in time is what is random.
  const fault = possible[number % possible.length]
  if (fault === undefined) throw new Error("there are no faults")
  const lab = new Lab()
  try {
    fault.before?.(lab)
    const build = machine ? machineBuild() : quickBuild(lab)
    const at = random.between(0, build.seconds)
    const command = lab.start(build.words)
    await pause(at)
    await fault.strike({ lab, command, random })
    const created = await command.ended
    const list = await lab.run("list", "--all", "-q")
    const [id] = list.stdout.trim().split("\n")
    if (id !== undefined && id !== "") await lab.run("wait", id)
    const { broken, state } = await check(lab, { ends: fault.ends, countsRuns: build.countsRuns })
    const row = table.get(fault.name) ?? { rounds: 0, states: new Map(), broken: 0 }
    row.rounds++
    row.states.set(state, (row.states.get(state) ?? 0) + 1)
    if (broken.length > 0) row.broken++
    table.set(fault.name, row)
    process.stdout.write(
      `${broken.length === 0 ? "ok  " : "FAIL"} ${number} ${build.name} at ${at.toFixed(2)} s: ${fault.name} → ${state} (create ended ${created.exitCode})\n`
    )
    for (const line of broken) process.stdout.write(`     ${line}\n`)
    if (broken.length > 0) failures++
    if (broken.length > 0 && values.keep) {
      process.stdout.write(`     kept in ${lab.folder}\n`)
      return
    }
    lab.remove()
  } catch (error) {
    lab.remove()
    throw error
  }
}

if (values.round !== "") await play(Number(values.round))
else for (let number = 1; number <= rounds; number++) await play(number)

process.stdout.write("\n")
for (const [name, { broken, rounds: times, states }] of table) {
  const all = [...states].map(([state, count]) => `${state} ${count}`).join(", ")
  process.stdout.write(`${name.padEnd(60)} ${String(times).padStart(3)}  ${all}; ${broken} broken\n`)
}

if (values.bare) {
  process.stdout.write("\nthe same against packer build alone\n")
  for (const [name, strike] of Object.entries(bareFaults)) {
    const times = table.get(name)?.rounds ?? 0
    const sums = { made: 0, orphans: 0, left: 0 }
    for (let number = 1; number <= times; number++) {
      const { left, made, orphans } = await playBare(
        strike,
        randomFrom(seed * 1_000_003 + number).between(0.3, 2.3)
      )
      sums.made += made ? 1 : 0
      sums.orphans += orphans
      sums.left += left
    }
    process.stdout.write(
      `${name.padEnd(60)} ${String(times).padStart(3)}  image made ${sums.made}, processes left ${sums.orphans}, files left ${sums.left}\n`
    )
  }
}

const played = [...table.values()].reduce((sum, row) => sum + row.rounds, 0)
process.stdout.write(`\n${played - failures} passed, ${failures} failed\n`)
process.exitCode = failures === 0 ? 0 : 1
