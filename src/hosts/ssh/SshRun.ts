/** Running commands on a host behind SSH, for programs and for people. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type HostPath, join } from "../../domain/HostPath.js"
import * as Processes from "../../internal/Processes.js"
import { HostError, type HostShape } from "../Host.js"
import * as Fence from "../jobs/Fence.js"
import { linkLost, missingProgram } from "./SshErrors.js"
import { type Link, processError } from "./SshLink.js"
import * as Programs from "./SshPrograms.js"
import { quote } from "./SshShell.js"

/** What ssh(1) ends with where its connection failed. */
const transport = 255

/** Lines of sh that put variables into the environment; sh has no way to name some that others have. */
export const exporting = (
  name: string,
  env: Readonly<Record<string, string>> = {}
): Effect.Effect<string, HostError> => {
  const bad = Object.keys(env).find((key) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(key))
  return bad === undefined
    ? Effect.succeed(
        Object.entries(env)
          .map(([key, value]) => `export ${key}=${quote(value)}\n`)
          .join("")
      )
    : Effect.fail(
        new HostError({
          reason: "other",
          host: name,
          message: `${bad} is no name of a variable that a shell takes`,
          hint: "call it by letters, digits and underscores"
        })
      )
}

/** A person's command, kept in a file for the moment, so that its environment stands on no command line. */
const personal = `
umask 077
mkdir -p -- "$1" && cd -- "$1" && file=$(mktemp ./interact.XXXXXX) || exit 1
cat >"$file" || { rm -f -- "$file"; exit 1; }
printf '%s' "\${file#./}"
`

export const make = (link: Link, home: HostPath): Pick<HostShape, "run" | "interact"> => {
  const killGrace = String(Duration.toSeconds(link.timing.process.killGrace))
  const run: HostShape["run"] = (command, { brief = false, fence, timeoutSeconds } = {}) => {
    const { args, cwd, env, program } = fence === undefined ? command : Fence.behind(fence, command)
    const asked = Effect.flatMap(exporting(link.name, env), (exports) =>
      Effect.flatMap(
        // Where the connection was lost, nobody knows how far it came.
        link.ask(
          {
            program: `${exports}${brief ? Programs.runBriefly : Programs.run}`,
            args: [...(brief ? [] : [killGrace]), cwd ?? ".", program, ...args],
            held: !brief,
            // What is no program of ours may start what goes on.
            lone: command.program !== "sh"
          },
          { again: false }
        ),
        ({ exitCode, stderr, stdout }) =>
          exitCode === 127 && stderr.endsWith(`${Programs.notFoundMark}\n`)
            ? missingProgram(link.name, program)
            : fence !== undefined && Fence.wasRefused(stderr)
              ? Fence.takenDown(link.name)
              : Effect.succeed({ exitCode, stdout: stdout.toString("utf8"), stderr })
      )
    )
    return timeoutSeconds === undefined
      ? asked
      : Effect.timeoutFail(asked, {
          duration: Duration.seconds(timeoutSeconds),
          onTimeout: () =>
            new HostError({
              reason: "no-answer",
              host: link.name,
              message: `${command.program} did not end within ${timeoutSeconds} s on ${link.name}`,
              hint: "run the program there by hand and see what it says"
            })
        })
  }

  const interact: HostShape["interact"] = ({ args, cwd, env, program }, { terminal }) =>
    Effect.gen(function* () {
      const exports = yield* exporting(link.name, env)
      const folder = join(home, "run")
      const { exitCode, stderr, stdout } = yield* link.ask({
        program: personal,
        args: [folder],
        input: [
          'rm -f -- "$0"',
          ...(cwd === undefined ? [] : [`cd -- ${quote(cwd)} || exit 126`]),
          // ssh(1) ends with 255 where a signal ended what it ran, as where its connection failed; sh tells them apart.
          `${exports}${terminal ? "exec " : ""}${[program, ...args].map(quote).join(" ")}`,
          "exit",
          ""
        ].join("\n")
      })
      if (exitCode !== 0) {
        return yield* new HostError({
          reason: "other",
          host: link.name,
          message: `nothing can be written to ${folder} on ${link.name}: ${stderr.trim()}`,
          hint: "check who owns it, and the space there"
        })
      }
      const code = yield* Effect.mapError(
        Processes.interact({
          program: "ssh",
          args: [
            ...link.arguments,
            terminal ? "-tt" : "-T",
            "--",
            link.destination,
            `exec /bin/sh ${quote(join(folder, stdout.toString("utf8")))}`
          ]
        }),
        processError(link.name)
      )
      // It says nothing of a shared connection that broke; and a command may end so, too.
      return code === transport && !(yield* link.lives) ? yield* linkLost(link.name) : code
    })

  return { run, interact }
}
