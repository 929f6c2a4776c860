/** Makes the plan of a request: from the profile, its mode, the inputs and the host, by the extension. */
import * as Path from "@effect/platform/Path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { UsageError } from "../domain/Errors.js"
import type { FailureReason } from "../domain/Failure.js"
import { resolveInputs } from "../domain/Input.js"
import { didYouMean } from "../domain/Nearest.js"
import { Plan } from "../domain/Plan.js"
import { StateHub } from "../hub/client/StateHub.js"
import { Profiles } from "../profiles/Profiles.js"
import * as ProfileMode from "../recipe/ProfileMode.js"
import { Settings } from "../settings/Settings.js"
import { Timing } from "../settings/Timing.js"
import type { CreateRequest } from "./Request.js"

/** Failures that may not happen again on a retry. */
const passing: ReadonlyArray<FailureReason> = [
  "connect-timeout",
  "download-failed",
  "host-unreachable",
  "hypervisor-died",
  "interrupted",
  "port-taken"
]

/** The plan of a request, the declarations of its inputs, and its default name. Writes nothing. */
export const planOf = Effect.fn("Sandboxes.plan")(function* (request: CreateRequest) {
  const path = yield* Path.Path
  const profiles = yield* Profiles
  const { hosts } = yield* Settings
  const { reporting, supervision } = yield* Timing
  const { tells } = yield* StateHub
  const profile = typeof request.profile === "string" ? yield* profiles.get(request.profile) : request.profile
  const { document } = profile
  const { elsewhere, extension, inputs, mode, name, problems } = yield* ProfileMode.find(profile, request)
  const [problem] = problems
  if (problem !== undefined) return yield* problem
  const { mode: _, ...given } = request.inputs
  const resolved = yield* resolveInputs({
    declarations: inputs,
    elsewhere,
    given,
    locations: request.inputLocations ?? {},
    environment: request.environment,
    absolute: {
      given: (file, location) =>
        path.resolve(location === undefined ? request.workingDirectory : path.dirname(location.file), file),
      profile: (file, input) => path.resolve(profile.folderOf(["inputs", input, "default"]), file)
    },
    asks: request.askSecret !== undefined
  })
  const host = document.placement?.host ?? "local"
  const filed = (given: string | undefined, variable: string, inProfile: string | undefined) =>
    (given ?? (request.environment[variable] || inProfile)) || null
  if (host !== "local" && hosts[host] === undefined) {
    const names = ["local", ...Object.keys(hosts).filter((one) => one !== "local")]
    return yield* new UsageError({
      reason: "profile",
      message: `no host is called ${host}, which ${document.id} is placed on`,
      hint: didYouMean(host, names, `hosts are ${names.join(", ")}; name it in the configuration's \`hosts\``)
    })
  }
  const planned = yield* mode.plan({
    inputs: resolved.values,
    secrets: Object.keys(resolved.secrets),
    variables: Object.keys(inputs).filter((input) => inputs[input]?.variable === true),
    prepare: document.prepare,
    hardware: document.hardware,
    profileFolder: profile.folderOf(["prepare", "inputs"]),
    requires: {
      commands: document.placement?.requires?.commands ?? [],
      freeDisk: document.placement?.requires?.freeDisk
    },
    host
  })
  return {
    plan: new Plan({
      profile: document.id,
      extension: extension.id,
      mode: name,
      name: request.name ?? null,
      placement: planned.placement ?? { host },
      jobless: planned.jobless ?? false,
      locks: planned.locks ?? [],
      inputs: { ...resolved.values, ...resolved.secrets },
      secrets: resolved.secrets,
      ttlSeconds: request.ttlSeconds ?? document.ttl ?? null,
      timeoutSeconds: request.timeoutSeconds ?? document.timeout ?? null,
      lockTimeoutSeconds: request.lockTimeoutSeconds ?? Duration.toSeconds(supervision.lockTimeout),
      heartbeatSeconds: document.heartbeat ?? Duration.toSeconds(reporting.heartbeat),
      stallSeconds: document.stall ?? null,
      stallCancels: document.on_stall === "cancel",
      phaseTimeouts: Object.fromEntries(
        Object.entries(document.timeouts ?? {}).flatMap(([phase, limit]) =>
          limit === undefined ? [] : [[phase, limit]]
        )
      ),
      retry:
        document.retry === undefined
          ? null
          : {
              times: document.retry.times,
              on: document.retry.on ?? passing,
              backoffSeconds: document.retry.backoff ?? Duration.toSeconds(supervision.retryBackoff)
            },
      hub: {
        workstream: filed(request.workstream, "SANDBOXER_WORKSTREAM", document.hub?.workstream),
        task: filed(request.task, "SANDBOXER_TASK", document.hub?.task),
        notes: tells === false ? "none" : (document.hub?.notes ?? "phases"),
        everySeconds: document.hub?.every ?? Duration.toSeconds(reporting.hubHeartbeat)
      },
      description: planned.description,
      phases: planned.phases ?? [],
      spec: planned.encoded
    }),
    inputs,
    defaultName: planned.defaultName ?? document.id.replace(/^profile\./, "")
  }
})
