/** The adapter of Packer that runs the `packer` command on a Host. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { ProvisionError } from "../../domain/Failure.js"
import { type HostPath, join } from "../../domain/HostPath.js"
import { type CommandResult, Host, type HostError } from "../../hosts/Host.js"
import { conclude, type JobRef, lines } from "../../hosts/jobs/Jobs.js"
import { Timing } from "../../settings/Timing.js"
import { diagnose } from "../diagnose/Diagnose.js"
import { Packer, type Selection, type Template } from "../Packer.js"
import { initial, overallPhase, step } from "../wire/BuildEvents.js"
import * as Inspect from "../wire/Inspect.js"
import * as PluginLog from "../wire/PluginLog.js"
import * as Version from "../wire/Version.js"
import * as Wire from "../wire/Wire.js"

/** The length of a folder in which plugins can make sockets, whose paths have at most 107 bytes. */
const longestTmpdir = 75

const selectionArguments = ({ except, only, variableFiles }: Selection): ReadonlyArray<string> => [
  ...variableFiles.map((file) => `-var-file=${file}`),
  ...(only.length > 0 ? [`-only=${only.join(",")}`] : []),
  ...(except.length > 0 ? [`-except=${except.join(",")}`] : [])
]

/** @category layers */
export const layer: Layer.Layer<Packer, never, Host> = Layer.effect(
  Packer,
  Effect.gen(function* () {
    const host = yield* Host
    const limits = (yield* Timing).packer
    // For `packer version`, which with a cache directory would make that folder.
    const quiet = { CHECKPOINT_DISABLE: "1" }
    const environment = {
      ...quiet,
      // Not in the template's folder, which may be read-only; and shared, so that an ISO is fetched once.
      PACKER_CACHE_DIR: join(host.home, "cache", "packer")
    }

    const missing = (error: HostError): ProvisionError | HostError =>
      error.reason === "program-missing"
        ? new ProvisionError({
            reason: "packer-missing",
            message: `packer is not installed on ${host.name}`,
            hint: "install it: `sudo apt-get install packer` (Debian 12), or from https://developer.hashicorp.com/packer/install"
          })
        : error.reason === "no-answer"
          ? new ProvisionError({
              reason: "packer-unusable",
              message: error.message,
              hint: "run `packer version` by hand: is it HashiCorp's Packer?"
            })
          : error

    const run = (
      args: ReadonlyArray<string>,
      options: {
        readonly folder?: HostPath
        readonly timeout: Duration.Duration
        readonly env?: Readonly<Record<string, string>>
      }
    ) =>
      Effect.mapError(
        host.run(
          {
            program: "packer",
            args,
            env: options.env ?? environment,
            ...(options.folder === undefined ? {} : { cwd: options.folder })
          },
          { timeoutSeconds: Duration.toSeconds(options.timeout) }
        ),
        missing
      )

    const failure = (
      output: ReadonlyArray<string>,
      exitCode: number,
      template: Template,
      builds: ReadonlyArray<string> = [],
      plugins: ReadonlyArray<string> = []
    ) => {
      const { folder, path } = template
      return new ProvisionError(
        diagnose(output, exitCode, { template: path, folder, builds, plugins }) ?? {
          reason: "build-failed",
          message: `packer ended with exit code ${exitCode}`,
          hint: "see the log"
        }
      )
    }

    // What validate, init and inspect refuse is the template, unless Packer's output gives another reason.
    const refused = ({ exitCode, stderr, stdout }: CommandResult, template: Template) => {
      const found = failure([...stdout.split("\n"), ...stderr.split("\n")], exitCode, template)
      return found.reason === "build-failed"
        ? new ProvisionError({ reason: "template-invalid", message: found.message, hint: found.hint })
        : found
    }

    const check = (args: ReadonlyArray<string>, template: Template, timeout: Duration.Duration) =>
      Effect.flatMap(run([...args, template.path], { folder: template.folder, timeout }), (result) =>
        result.exitCode === 0 ? Effect.succeed(result) : refused(result, template)
      )

    const logOf = (job: JobRef) => join(job.folder, "packer.log")
    /** The last texts of plugins in Packer's own log; none if there is no log. */
    const plugins = (job: JobRef, bytes: number) =>
      host.run({ program: "tail", args: ["-c", String(bytes), logOf(job)] }).pipe(
        Effect.map(({ stdout }) => PluginLog.read(stdout)),
        Effect.orElseSucceed((): ReadonlyArray<string> => [])
      )

    return {
      qemuMessage: (job) => Effect.map(plugins(job, limits.logBytes), PluginLog.qemuMessage),
      awaitedPort: (job) => Effect.map(plugins(job, limits.portLogBytes), PluginLog.awaitedPort),
      version: Effect.gen(function* () {
        const { exitCode, stdout } = yield* run(["version", "-machine-readable"], {
          timeout: limits.versionTimeout,
          env: quiet
        })
        const version = Version.parse(stdout)
        if (exitCode === 0 && version !== undefined && Version.compare(version, Version.minimum) >= 0)
          return version
        return yield* new ProvisionError({
          reason: "packer-unusable",
          message:
            version === undefined || exitCode !== 0
              ? "the program packer does not print a version as HashiCorp's Packer does"
              : `packer ${Version.format(version)} is too old`,
          hint: `run \`packer version\` by hand; HashiCorp's Packer ${Version.format(Version.minimum)} or later is required`
        })
      }),
      init: (version, template) =>
        Version.hasInit(version) ? Effect.asVoid(check(["init"], template, limits.initTimeout)) : Effect.void,
      inspect: (template) =>
        Effect.map(check(["inspect", "-machine-readable"], template, limits.inspectTimeout), ({ stdout }) =>
          Inspect.parse(stdout)
        ),
      validate: (request) =>
        Effect.asVoid(
          check(
            ["validate", "-machine-readable", ...selectionArguments(request)],
            request,
            limits.validateTimeout
          )
        ),
      build: (job, request) =>
        Stream.unwrap(
          Effect.gen(function* () {
            const tmp = join(job.folder, "tmp")
            yield* host.makeSubfolder(tmp)
            yield* host.startJob({
              folder: job.folder,
              stop: "leader",
              program: "packer",
              args: [
                "build",
                "-machine-readable",
                ...(request.force ? ["-force"] : []),
                ...(request.onError === "abort" ? ["-on-error=abort"] : []),
                ...selectionArguments(request),
                request.path
              ],
              cwd: request.folder,
              env: {
                ...environment,
                PACKER_LOG: "1",
                PACKER_LOG_PATH: logOf(job),
                ...(tmp.length <= longestTmpdir ? { TMPDIR: tmp } : {})
              }
            })
            const last: Array<string> = []
            const records = lines(host.followJob(job.folder, 0)).pipe(
              Stream.mapAccum({ state: initial(request.builds), line: Wire.lineStart }, (at, piece) => {
                last.push(piece.text.slice(0, limits.causeLineLength))
                if (last.length > 2 * limits.causeLines) last.splice(0, limits.causeLines)
                const [line, record] = Wire.parsePiece(at.line, piece, { builds: request.builds })
                const [state, events] = step(at.state, record)
                const { complete, end } = piece
                return [
                  { state, line },
                  { complete, end, events, overall: overallPhase(state) }
                ] as const
              })
            )
            const ended = Effect.flatMap(conclude(host, job, "leader"), (exitCode) => {
              if (exitCode === 0 && diagnose(last, 0) === undefined) return Effect.void
              return Effect.flatMap(plugins(job, limits.logBytes), (texts) =>
                failure(last, exitCode, request, request.builds, texts)
              )
            })
            return Stream.concat(records, Stream.execute(ended))
          })
        )
    }
  })
)
