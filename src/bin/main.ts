/** Runs the command line of this process, from its arguments to its exit code. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeTerminal from "@effect/platform-node/NodeTerminal"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { run } from "../cli/main.js"
import { ofProcess, Signals } from "../cli/Signals.js"
import { layerDetached, layerSettled } from "../node.js"
import { defaults, Timing } from "../settings/Timing.js"

const written = (stream: NodeJS.WriteStream) =>
  new Promise<void>((resolve) => {
    if (stream.writableLength === 0) resolve()
    else stream.write("", () => resolve())
  })

/** `executable` is the file that supervisors are started with. */
export const main = (executable: string, timing = defaults): void => {
  // A reader that has read enough (`| head`) closes the pipe, which is no failure.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error
      process.exit(0)
    })
  }

  const program = run(process.argv.slice(2), {
    settled: (globals) => layerSettled({ settings: { overrides: globals } }),
    full: (globals) => layerDetached({ settings: { overrides: globals }, executable })
  })

  const fiber = Effect.runFork(
    program.pipe(
      // Nobody reads the spans, of which every statement and every traced function would make one.
      Effect.withTracerEnabled(false),
      Effect.provideService(Timing, timing),
      Effect.provideService(
        Signals,
        ofProcess(() => fiber.unsafeInterruptAsFork(fiber.id()))
      ),
      Effect.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NodeTerminal.layer))
    )
  )

  fiber.addObserver(async (exit) => {
    process.exitCode = Exit.isSuccess(exit) ? exit.value : 130
    await Promise.all([process.stdout, process.stderr].map(written))
    // Exit explicitly: when Node ends by itself, it removes its signal handlers some time before that, and a signal would
    // then replace the exit code.
    process.exit()
  })
}
