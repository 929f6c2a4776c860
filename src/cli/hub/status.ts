import * as Command from "@effect/cli/Command"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { Holder } from "../../domain/Holder.js"
import type { OutboxStatus, RefusedNote } from "../../domain/Outbox.js"
import { StateHub } from "../../hub/client/StateHub.js"
import { ProcessIdentity } from "../../store/ProcessIdentity.js"
import { SandboxStore } from "../../store/SandboxStore.js"
import * as options from "../Options.js"
import { type Kind, printOne } from "../Printer.js"

interface Status extends OutboxStatus {
  readonly told: boolean
  readonly target: string | undefined
  readonly warning: string | undefined
  readonly putAside: ReadonlyArray<RefusedNote>
  /** Who delivers at this moment. */
  readonly sending: Holder | null
}

const time = (millis: number | null) =>
  millis === null ? null : DateTime.formatIso(DateTime.unsafeMake(millis))

const said = (text: string | null) => text ?? "-"

/** Null where the next one who looks tries at once. */
const nextTry = ({ delivering, target, waiting }: Status) =>
  waiting === 0 || delivering.target !== (target ?? null) ? null : delivering.nextTryAt

const statuses: Kind<Status> = {
  kind: "HubStatus",
  document: (status) => ({
    hub: status.target ?? null,
    told: status.told,
    warning: status.warning ?? null,
    waiting: status.waiting,
    delivered: status.delivered,
    refused: status.refused,
    refusedNotes: status.putAside.map(({ attempts, note, reason }) => ({
      id: note.id,
      sandboxId: note.sandbox_id,
      summary: note.summary,
      attempts,
      reason
    })),
    paused: status.delivering.paused,
    failures: status.delivering.failures,
    lastAnswer: status.delivering.answer,
    lastAnswerAt: time(status.delivering.answeredAt),
    nextTryAt: time(nextTry(status)),
    sender: status.sending === null ? null : { machine: status.sending.machine, pid: status.sending.pid }
  }),
  name: ({ target }) => target ?? "",
  columns: [
    ["hub", ({ target, told }) => target ?? (told ? "of this program" : "none: set STATE_HUB_URL")],
    ["warning", ({ warning }) => warning ?? "-"],
    ["waiting", ({ waiting }) => String(waiting)],
    ["delivered", ({ delivered }) => String(delivered)],
    ["put aside", ({ refused }) => String(refused)],
    [
      "",
      ({ putAside }) =>
        putAside.map(({ note, reason }) => `${note.id}  ${note.summary}\n  ${reason}`).join("\n") || "-"
    ],
    ["last answer", ({ delivering }) => said(delivering.answer)],
    ["at", ({ delivering }) => said(time(delivering.answeredAt))],
    [
      "next try",
      (status) =>
        status.waiting === 0
          ? "-"
          : `${time(nextTry(status)) ?? "at once"}${status.delivering.paused ? ", or when it is mended: sandboxer hub flush" : ""}`
    ],
    ["delivers", ({ sending }) => (sending === null ? "-" : `process ${sending.pid} of ${sending.machine}`)]
  ]
}

export const status = Command.make("status", { output: options.output }, ({ output }) =>
  Effect.gen(function* () {
    const { outbox } = yield* SandboxStore
    const { target, tells, warning } = yield* StateHub
    const { mayBeAlive } = yield* ProcessIdentity
    const found = yield* outbox.status
    const { holder } = yield* outbox.lease.read
    yield* printOne(output, statuses, {
      ...found,
      told: tells !== false,
      target,
      warning,
      putAside: yield* outbox.refused,
      sending: holder !== null && (yield* mayBeAlive(holder)) ? holder : null
    })
  })
).pipe(Command.withDescription("Show what the State Hub was told, what waits, what was put aside and why"))
