import * as Order from "effect/Order"
import * as Schema from "effect/Schema"

/** The named stretches of a provision, in the order in which they are gone through. */
export const phases = [
  "queue",
  "preflight",
  "prepare",
  "fetch",
  "create",
  "boot",
  "connect",
  "provision",
  "shutdown",
  "export",
  "post-process",
  "collect",
  "package",
  "reach",
  "workspace",
  "sync",
  "run"
] as const

/** @category model */
export const PhaseName = Schema.Literal(...phases)
export type PhaseName = typeof PhaseName.Type

/** Those that build mode may go through; the queue is before all of them. */
export const buildPhases: ReadonlyArray<PhaseName> = phases.slice(
  phases.indexOf("preflight"),
  phases.indexOf("package") + 1
)

// Attach mode goes reach, workspace, sync, run, collect: its `collect` is the one build mode has, but comes last.
const attachOrder: ReadonlyArray<PhaseName> = ["reach", "workspace", "sync", "run", "collect"]

/** The phases of a mode that is not `attach` before those of attach; within a mode, the order they are gone through. */
export const order: Order.Order<PhaseName> = Order.mapInput(Order.number, (phase) => phases.indexOf(phase))

/** Whether going from `from` to `to` is a step forward: phases never go back, whatever a guest prints. */
export const isForward = (from: PhaseName, to: PhaseName): boolean =>
  attachOrder.includes(from) && attachOrder.includes(to)
    ? attachOrder.indexOf(to) > attachOrder.indexOf(from)
    : order(from, to) < 0
