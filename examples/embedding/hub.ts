/** Serves a State Hub of its own, and has it told of what it provisions: no Packer, and no other process. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Delivery, HubServer, Sandboxes } from "sandboxer"
import { layer, layerHubServer } from "sandboxer/node"

const attach = Effect.gen(function* () {
  const sandboxes = yield* Sandboxes.Sandboxes
  const { id } = yield* sandboxes.create({
    profile: "profile.vm-packer-attach",
    inputs: { host: "local" },
    name: "here",
    workstream: "images",
    environment: process.env,
    workingDirectory: process.cwd()
  })
  yield* sandboxes.wait(id)
  // What waits is told in a second or so by itself.
  yield* Delivery.flush(30)
  return id
})

const Page = Schema.Struct({ items: Schema.Array(Schema.Struct({ summary: Schema.String })) })

const program = Effect.gen(function* () {
  const { url } = yield* HubServer.HubServer
  const id = yield* Effect.provide(
    attach,
    layer({ settings: { environment: { ...process.env, STATE_HUB_URL: url } } })
  )
  const page = yield* Effect.promise(() => fetch(`${url}/notes?workstream=images&sandbox=${id}`)).pipe(
    Effect.flatMap((answer) => Effect.promise(() => answer.json())),
    Effect.flatMap(Schema.decodeUnknown(Page))
  )
  for (const { summary } of page.items) yield* Console.log(`told: ${summary}`)
})

const layerHub = layerHubServer({ host: "127.0.0.1", port: 0, token: undefined })

NodeRuntime.runMain(Effect.provide(program, Layer.provide(layerHub, layer())))
