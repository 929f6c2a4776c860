/**
 * Watches what Packer does not, while it runs: whether its machine lives, whether it waits for a port or for itself for
 * ever, and the disk (`space.ts`); and finds out from these what a failure came of.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { ProvisionError } from "../../../../domain/Failure.js"
import type { HostPath } from "../../../../domain/HostPath.js"
import { monotonicSeconds as now } from "../../../../domain/Monotonic.js"
import type { PhaseName } from "../../../../domain/Phase.js"
import { Host } from "../../../../hosts/Host.js"
import type { JobRef } from "../../../../hosts/jobs/Jobs.js"
import { type BuildRecord, Packer } from "../../../../packer/Packer.js"
import type { RecipeError } from "../../../../recipe/Recipe.js"
import { Reporter } from "../../../../recipe/Reporter.js"
import { Steps } from "../../../../recipe/Steps.js"
import * as rootCause from "./rootCause.js"
import { space } from "./space.js"

const verdictKey = "verdict"
const lookEvery = Duration.seconds(2)
const repeatedly = Schedule.spaced(lookEvery)
/** How long Packer may take to end by itself, in seconds: it deletes what it made. */
const grace = 60
/** The same where it may have stopped at what it cannot print. */
const graceOfBroken = 10
/** How long a machine has to be gone, in seconds, by the phase of its build. */
const longestGone: Partial<Record<PhaseName, number>> = { boot: 5, connect: 5, provision: 30 }
/** How long Packer has to wait for one port, and to say nothing, in seconds. */
const longestForPort = 10
/** How long Packer may be alone, without the process of its own that builds, and say nothing, in seconds. */
const longestAlone = 10
/** How long Packer may take for the rest of a line, in seconds. */
const longestForRest = 10

/** What QEMU's processes are called. */
const isHypervisor = ({ name }: { readonly name: string }) => /^(?:qemu-system|qemu-kvm|kvm$)/.test(name)

/** A provisioner that runs here may go on without a machine. */
const here = /^(?:Running local shell script: |Provisioning with shell-local|Executing )/

export interface Guarded {
  /** Builds whose machine is a process of the Job. */
  readonly machines: ReadonlyArray<string>
  /** Where Packer writes. */
  readonly folders: ReadonlyArray<HostPath>
  /** What the profile asks to be free, in bytes. */
  readonly freeDisk: number | null
}

/** Watches over a Job of Packer. */
export const guard = Effect.fn(function* (job: JobRef, { folders, freeDisk, machines }: Guarded) {
  const host = yield* Host
  const packer = yield* Packer
  const reporter = yield* Reporter
  const steps = yield* Steps
  const phases = new Map<string, PhaseName | undefined>()
  const told = { at: yield* now, end: 0, here: false }
  let verdict = Option.getOrUndefined(yield* steps.journaled(verdictKey, ProvisionError))
  const isDecided = verdict !== undefined
  const oomKills = yield* steps.step("oom-kills", Schema.Number, rootCause.oomKills(host))

  const saw = (records: Iterable<BuildRecord>) =>
    Effect.map(now, (at) => {
      for (const { end, events } of records) {
        told.at = at
        told.end = end
        for (const event of events) {
          if (event._tag === "Phase") phases.set(event.build, event.phase)
          else if (event._tag === "BuildFinished" || event._tag === "BuildErrored") phases.delete(event.build)
          else if (event._tag === "Line" && event.build !== undefined) {
            if (!phases.has(event.build)) phases.set(event.build, undefined)
            if (/^(?:Provisioning with|Running local|Executing)/.test(event.text)) {
              told.here = here.test(event.text)
            }
          }
        }
      }
    })

  // It cleans up, and its last words are read, before it is said what was wrong; one that hears nothing is killed, also
  // where it was told to stop already.
  const stop = (error: ProvisionError, graceSeconds = grace) =>
    Effect.gen(function* () {
      if (verdict !== undefined && graceSeconds > 0) return
      verdict ??= new ProvisionError({
        reason: error.reason,
        message: reporter.redact(error.message),
        hint: error.hint,
        logTail: error.logTail.map(reporter.redact)
      })
      yield* decide(verdict)
      yield* end(graceSeconds)
    })

  const end = (graceSeconds: number) =>
    Effect.asVoid(host.stopJob(job.folder, { stop: "leader", graceSeconds }))

  // Whoever lost the lease decides nothing. What is decided stays so: whoever takes over carries it out, and it is no
  // matter that the one before does so late.
  const decide = (error: ProvisionError) =>
    steps.step(verdictKey, ProvisionError, Effect.succeed(error)).pipe(
      Effect.retry({ schedule: repeatedly, while: ({ reason }) => reason === "busy" }),
      // The disk may be what is wrong; that the lease is held was read before it was to be written.
      Effect.catchIf(
        ({ reason }) => reason === "not-writable",
        () => Effect.void
      )
    )

  const hypervisors = Effect.map(host.jobProcesses(job.folder), (all) => all.filter(isHypervisor).length)
  const packers = Effect.map(host.jobProcesses(job.folder), (all) => {
    const own = all.filter(({ name }) => name === "packer").length
    return { own, others: all.length - own }
  })

  /** The seconds that the machines of all builds that go on may be gone; undefined where one needs none. */
  const mayBeGone = () => {
    const running = [...phases]
    const limits = running.map(([build, phase = "fetch"]) =>
      machines.includes(build) && !(phase === "provision" && told.here) ? longestGone[phase] : undefined
    )
    return limits.length === 0 || limits.includes(undefined)
      ? undefined
      : Math.max(...limits.map((limit) => limit ?? 0))
  }

  /** Fails a build that waits for a machine that is there no more: Packer would wait until its timeout. */
  const machine = Effect.gen(function* () {
    // A machine that nobody saw may be called otherwise. Journaled, for whoever takes over.
    yield* steps.step(
      "machine-seen",
      Schema.Boolean,
      Effect.repeat(
        Effect.zipRight(
          Effect.sleep(lookEvery),
          Effect.map(hypervisors, (count) => count > 0)
        ),
        { until: (seen) => seen }
      )
    )
    let goneSince: number | undefined
    yield* Effect.gen(function* () {
      const at = yield* now
      const limit = mayBeGone()
      if (limit === undefined || (yield* hypervisors) > 0) {
        goneSince = undefined
        return
      }
      goneSince ??= at
      const gone = at - goneSince
      // What is printed while it is being provisioned says that Packer goes on.
      if (gone < limit || (limit > 5 && at - told.at < limit)) return
      const said = yield* packer.machineSaid(job)
      const [build, phase] = [...phases][0] ?? []
      yield* stop(
        new ProvisionError({
          reason: "hypervisor-died",
          message: `${build}: the virtual machine ended while Packer was still in phase ${phase}${said === undefined ? "" : `; it said: ${said}`}`,
          hint: "see whether the kernel killed it (`dmesg`), or the guest powers itself off; else create it again"
        })
      )
    }).pipe(Effect.repeat({ schedule: repeatedly }))
  })

  /** Fails a build that waits for a port that another program has: Packer would try on for ever. */
  const port = Effect.suspend(() => {
    let since: number | undefined
    return Effect.gen(function* () {
      const at = yield* now
      const early = [...phases.values()].every(
        (phase) => phase === undefined || /^(fetch|create)$/.test(phase)
      )
      const waits = early && at - told.at >= longestForPort / 2 ? yield* packer.portWaitedFor(job) : undefined
      since = waits === undefined ? undefined : (since ?? at)
      if (since === undefined || at - since < longestForPort) return
      yield* stop(
        new ProvisionError({
          reason: "port-taken",
          message: `Packer waits for port ${waits}, which another program has`,
          hint: "give the template a range of ports (host_port_min and host_port_max, vnc_port_min), or end what has it: `ss -ltnp`"
        })
      )
    }).pipe(Effect.repeat({ schedule: repeatedly }))
  })

  /**
   * Fails a Packer whose output breaks off within a line: it writes whole ones, and what could not be written all, as the
   * disk was full, is the last that it ever prints. It blocks then, or never ends, also where there is space again.
   */
  const broken = Effect.suspend(() => {
    let looks = 0
    return Effect.gen(function* () {
      const silent = (yield* now) - told.at >= longestForRest
      const piece = silent
        ? yield* Stream.runHead(host.followJob(job.folder, told.end)).pipe(Effect.timeoutOption("2 seconds"))
        : Option.none()
      looks = Option.isSome(Option.flatten(piece)) ? looks + 1 : 0
      if (looks < 2) return
      yield* stop(
        rootCause.diskFull(host, job.folder, {
          message: "what Packer printed breaks off within a line, and nothing came any more"
        }),
        graceOfBroken
      )
    }).pipe(Effect.repeat({ schedule: Schedule.spaced(Duration.seconds(longestForRest)) }))
  })

  /**
   * Fails a Packer that waits for itself: it builds in a process of its own, whose output the first one passes on, and
   * where that one is stuck it does not notice that the other has ended.
   */
  const alone = Effect.gen(function* () {
    // A Packer that nobody saw with that process may do without. Journaled, for whoever takes over.
    yield* steps.step(
      "packer-seen",
      Schema.Boolean,
      Effect.repeat(
        Effect.map(packers, ({ own }) => own > 1),
        { until: (seen) => seen, schedule: repeatedly }
      ).pipe(Effect.as(true))
    )
    let since: number | undefined
    yield* Effect.gen(function* () {
      const at = yield* now
      const silent = at - told.at >= longestAlone / 2
      const { others, own } = silent ? yield* packers : { others: 0, own: 0 }
      // Beside it there is the Job's wrapper.
      since = own === 1 && others <= 1 ? (since ?? at) : undefined
      if (since === undefined || at - since < longestAlone) return
      yield* stop(
        new ProvisionError({
          reason: "interrupted",
          message: "the process that Packer builds in ended, and Packer waited for it for ever",
          hint: "see whether the kernel killed it (`dmesg`); create the sandbox again"
        }),
        0
      )
    }).pipe(Effect.repeat({ schedule: repeatedly }))
  })

  const disk = space({ host, reporter, folders, freeDisk, saidAt: () => told.at, stop })

  const looks = [
    ...(isDecided ? [end(grace)] : []),
    ...(machines.length > 0 ? [machine] : []),
    ...[port, broken, alone, disk.watch]
  ]
  return {
    saw,
    /** Never ends; what cannot be looked at is looked at again. */
    watch: Effect.all(
      looks.map((look) =>
        Effect.zipRight(
          Effect.retry(look, { schedule: repeatedly, while: ({ _tag }) => _tag === "HostError" }),
          Effect.never
        )
      ),
      { concurrency: "unbounded" }
    ),
    /** What a failure of the build came of, as far as it is known here. */
    explain: (error: RecipeError): Effect.Effect<never, RecipeError> =>
      Effect.gen(function* () {
        yield* Effect.ignore(disk.measure)
        const said = error._tag === "ProvisionError" ? (verdict ?? error) : error
        const full = disk.wasFull()
        return yield* full !== undefined && rootCause.mayBeOfDisk(said)
          ? rootCause.diskFull(host, full, said)
          : rootCause.mayBeOfMemory(said) && (yield* rootCause.oomKills(host)) > oomKills
            ? rootCause.outOfMemory(host, said)
            : said
      })
  }
})
