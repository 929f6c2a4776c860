/** A supervisor that is stopped, as SIGSTOP does, right before one of its writes, and goes on when it is told to. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** What only looks, by the service's calls: before these nobody has to be stopped. */
const reads = new Set([
  // SandboxStore
  ...[
    "get",
    "plan",
    "list",
    "events",
    "allEvents",
    "cancelRequested",
    "read",
    "place",
    "named",
    "idsWith",
    "names",
    "freeName",
    "count",
    "isUnsent",
    "steps",
    "log"
  ],
  // FileSystem
  ...[
    "access",
    "exists",
    "readDirectory",
    "readFile",
    "readFileString",
    "readLink",
    "realPath",
    "stat",
    "stream"
  ],
  // Host
  ...["jobStatus", "jobProcesses", "livingJobs", "followJob", "info", "sha256", "freeBytes", "identity"],
  // Packer
  ...["version", "qemuMessage", "awaitedPort"]
])

/** A file that is open: what is read of it needs no stop. */
const fileReads = new Set(["stat", "seek", "sync", "read", "readAlloc"])

export interface Stop {
  /** Completed when it stands still. */
  readonly reached: Effect.Effect<void>
  readonly goOn: Effect.Effect<void>
  /** The call that it stands before. */
  readonly at: () => string
  /** A service as that process has it. */
  readonly of: <S extends object>(service: S) => S
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

/** Stops before the write behind so many, counted over all services. */
export const stopBehind = (writes: number): Effect.Effect<Stop> =>
  Effect.gen(function* () {
    const reached = yield* Deferred.make<void>()
    const go = yield* Deferred.make<void>()
    let left = writes
    let stopped = false
    let at = "nothing"

    /** The whole process stands still, its other fibers, too. */
    const gate = (name: string, writing: boolean) =>
      Effect.suspend(() => {
        if (writing && !stopped && left-- === 0) {
          stopped = true
          at = name
          return Effect.zipRight(Deferred.succeed(reached, undefined), Deferred.await(go))
        }
        return stopped ? Deferred.await(go) : Effect.void
      })

    const of = <S extends object>(service: S, isRead = reads): S => {
      const wrap = (value: unknown, name: string): unknown => {
        const before = gate(name, !isRead.has(name))
        // Streams are told by what only they have: an Effect may look like one.
        if (isObject(value) && Stream.StreamTypeId in value && !Effect.isEffect(value)) {
          return Stream.concat(Stream.execute(before), value as Stream.Stream<unknown>)
        }
        if (!Effect.isEffect(value)) return name === "lease" && isObject(value) ? of(value, isRead) : value
        const gated = Effect.zipRight(before, value as Effect.Effect<unknown>)
        return name === "open" ? Effect.map(gated, (file) => of(file as object, fileReads)) : gated
      }
      return new Proxy(service, {
        get: (target, key) => {
          const value: unknown = Reflect.get(target, key)
          if (typeof key === "symbol") return value
          return typeof value === "function"
            ? (...args: ReadonlyArray<unknown>) => wrap(Reflect.apply(value, target, args), key)
            : wrap(value, key)
        }
      })
    }
    return {
      reached: Deferred.await(reached),
      goOn: Effect.asVoid(Deferred.succeed(go, undefined)),
      at: () => at,
      of
    }
  })
