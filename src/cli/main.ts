/** The command line: combines the verbs, and turns errors into exit codes. */
import { stripVTControlCharacters } from "node:util"
import type * as CliApp from "@effect/cli/CliApp"
import * as Command from "@effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import type { Doctor } from "../doctor/Doctor.js"
import type { UsageError } from "../domain/Errors.js"
import { version } from "../domain/version.js"
import type { Hosts } from "../hosts/Host.js"
import type { Services } from "../node.js"
import type { Profiles } from "../profiles/Profiles.js"
import type { Extensions } from "../recipe/Extension.js"
import type { Settings } from "../settings/Settings.js"
import type { StoreError } from "../store/SandboxStore.js"
import { type Globals, parse, type Verbs } from "./Arguments.js"
import { artifact } from "./artifact/artifact.js"
import { cancel } from "./cancel.js"
import { create } from "./create.js"
import { destroy, rm } from "./destroy.js"
import { doctor } from "./doctor.js"
import { type CommandError, type Ending, ofDefect, ofError } from "./ExitCode.js"
import { events } from "./events.js"
import { exec } from "./exec.js"
import { extension } from "./extension/extension.js"
import { host } from "./host/host.js"
import { hub } from "./hub/hub.js"
import { list, ls } from "./list.js"
import { logs } from "./logs.js"
import { globals as globalOptions } from "./Options.js"
import { report } from "./Printer.js"
import { profile } from "./profile/profile.js"
import { reap } from "./reap.js"
import { renew } from "./renew.js"
import { retry } from "./retry.js"
import { serve } from "./serve.js"
import { show } from "./show.js"
import { ssh } from "./ssh.js"
import { supervise } from "./supervise.js"
import { sync } from "./sync.js"
import { wait } from "./wait.js"
import { watch } from "./watch.js"

/** Makes the layers of the verbs from the global options: `settled` for verbs that do not use the store. */
export interface CliLayers {
  readonly settled: (
    globals: Globals
  ) => Layer.Layer<Settings | Profiles | Extensions | Doctor | Hosts, UsageError>
  readonly full: (globals: Globals) => Layer.Layer<Services, UsageError | StoreError>
}

const verbs: Verbs = {
  create: [],
  list: [],
  ls: [],
  show: [],
  logs: [],
  events: [],
  watch: [],
  wait: [],
  cancel: [],
  retry: [],
  renew: [],
  reap: [],
  serve: [],
  destroy: [],
  rm: [],
  exec: [],
  ssh: [],
  sync: [],
  profile: ["list", "show", "explain", "validate", "init"],
  artifact: ["list", "show", "path", "verify"],
  extension: ["list", "show"],
  host: ["list", "check"],
  hub: ["status", "flush", "retry", "serve"],
  doctor: [],
  supervise: []
}

const application = (layers: CliLayers, globals: Globals) => {
  const [fullLayer, settledLayer] = [layers.full(globals), layers.settled(globals)]
  const full = <Name extends string, R, E, A>(command: Command.Command<Name, R, E, A>) =>
    Command.provide(command, fullLayer)
  return Command.make("sandboxer", globalOptions).pipe(
    Command.withDescription(
      "Build VM images with Packer, and on machines that exist: builds that cannot be lost"
    ),
    Command.withSubcommands([
      full(create),
      full(list),
      full(ls),
      full(show),
      full(logs),
      full(events),
      full(watch),
      full(wait),
      full(cancel),
      full(retry),
      full(renew),
      full(reap),
      full(serve),
      full(destroy),
      full(rm),
      full(exec),
      full(ssh),
      full(sync),
      Command.provide(profile, settledLayer),
      full(artifact),
      Command.provide(extension, settledLayer),
      Command.provide(host, settledLayer),
      full(hub),
      Command.provide(doctor(fullLayer), settledLayer),
      full(supervise)
    ]),
    Command.run({ name: "sandboxer", version })
  )
}

/** Removes colours where they are not wanted, and the errors of @effect/cli: `ExitCode.ts` reports them. */
const consoleFor = (console: Console.Console, colours: boolean): Console.Console => ({
  ...console,
  log: (text) => console.log((colours ? String(text) : stripVTControlCharacters(String(text))).trimEnd()),
  error: () => Effect.void
})

/**
 * Runs a command line (the words after the program's name) and returns its exit code, after everything has been
 * reported.
 */
export const run = (
  words: ReadonlyArray<string>,
  layers: CliLayers
): Effect.Effect<number, never, CliApp.CliApp.Environment> =>
  Effect.gen(function* () {
    const parsed = parse(words.length === 0 ? ["--help"] : words, verbs)
    const failed = (error: CommandError) => conclude(ofError(error))
    if (Either.isLeft(parsed)) return yield* failed(parsed.left)
    const { globals, words: ordered } = parsed.right
    const colours = process.stdout.isTTY && !globals.noColor && (process.env.NO_COLOR ?? "") === ""
    const console = yield* Console.consoleWith(Effect.succeed)
    return yield* application(
      layers,
      globals
    )(["node", "sandboxer", ...ordered]).pipe(
      Effect.as(0),
      Effect.catchAll(failed),
      Effect.catchAllCause((cause) => conclude(ofDefect(cause, globals.debug))),
      Effect.withConsole(consoleFor(console, colours))
    )
  })

const conclude = ({ exitCode, message }: Ending) => Effect.as(report(...message), exitCode)
