import { resolve } from "node:path"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import { UsageError } from "../../domain/Errors.js"
import { HubServer } from "../../hub/server/HubServer.js"
import { layerHubServer } from "../../node.js"
import { Settings } from "../../settings/Settings.js"
import * as options from "../Options.js"
import { report } from "../Printer.js"
import { untilSignal } from "../Signals.js"

const usage = (message: string, hint: string) => new UsageError({ reason: "usage", message, hint })

/** Reads a token. A file that other users may read is refused. */
const readToken = (file: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { mode } = yield* fs.stat(file)
    if ((mode & 0o077) !== 0) {
      return yield* usage(
        `others may read the token file ${file}`,
        `chmod 600 ${file}, and put a new token into it`
      )
    }
    return Redacted.make((yield* fs.readFileString(file)).trim())
  }).pipe(
    Effect.catchAll((error) =>
      error._tag === "UsageError"
        ? error
        : usage(`the token file ${file} cannot be read: ${error.message}`, "give a file with the token in it")
    )
  )

const checkedPort = (port: number) =>
  port >= 0 && port <= 65_535
    ? Effect.succeed(port)
    : usage(`--port: got ${port}`, "it takes a number from 0 (any that is free) to 65535")

export const serve = Command.make(
  "serve",
  {
    host: options
      .text("host", "The address to listen on; any but this machine's own needs a token")
      .pipe(Options.withDefault("127.0.0.1")),
    port: options
      .integer("port", "The port to listen on; 0 is any that is free")
      .pipe(Options.withDefault(8787)),
    database: options.optional(
      options.text("database", "The file that notes are kept in; hub.db of the state directory by default")
    ),
    tokenFile: options.optional(
      options.text(
        "token-file",
        "A file with the token that clients have to have; by default STATE_HUB_TOKEN"
      )
    )
  },
  ({ database, host, port, tokenFile }) =>
    Effect.gen(function* () {
      const { hubServerToken } = yield* Settings
      const server = layerHubServer({
        host,
        port: yield* checkedPort(port),
        token: tokenFile === undefined ? hubServerToken : yield* readToken(tokenFile),
        ...(database === undefined ? {} : { database: resolve(database) })
      })
      const serving = Effect.gen(function* () {
        const { url } = yield* HubServer
        yield* Console.log(url)
        yield* report(`serving the State Hub at ${url}; Ctrl-C ends it`)
        yield* untilSignal(Effect.never)
      })
      yield* Effect.provide(serving, server)
    }).pipe(
      // The server's log is for a person, so it goes to stderr.
      Effect.provide(Logger.replace(Logger.defaultLogger, Logger.withConsoleError(Logger.logfmtLogger)))
    )
).pipe(
  Command.withDescription(
    "Be a State Hub: take notes of how sandboxes fare, keep them, and tell them to whoever asks. " +
      "It prints its URL, which clients set STATE_HUB_URL to, and ends at Ctrl-C"
  )
)
