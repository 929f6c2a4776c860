import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { UsageError } from "../../src/domain/Errors.js"
import { failed } from "../../src/domain/events/Event.js"
import type { Extension } from "../../src/recipe/Extension.js"
import type { AskSecret, CreateRequest } from "../../src/sandboxes/Sandboxes.js"
import { manager } from "./manager.js"

const extension: Extension = {
  id: "ext.test",
  description: "An extension of a test",
  modes: {
    make: {
      description: "Makes nothing",
      inputs: {
        first: { type: "secret", required: true, description: "The first" },
        optional: { type: "secret" },
        second: { type: "secret", required: true, env: "SECOND" },
        user: { type: "string", required: true, description: "Who it is" }
      },
      plan: ({ secrets }) => Effect.succeed({ encoded: {}, description: secrets, defaultName: undefined }),
      provision: () => Effect.succeed({ artifacts: [], endpoint: null })
    }
  }
}

/** A manager, and a person who types the name of what is asked for. */
const begun = Effect.gen(function* () {
  const made = yield* manager(extension, { "test.yaml": "id: profile.test\nextension: ext.test\n" })
  const asked: Array<readonly [string, string | undefined]> = []
  const askSecret: AskSecret = (name, description) =>
    Effect.sync(() => {
      asked.push([name, description])
      return Redacted.make(`typed ${name}`)
    })
  const request = (given: Readonly<Record<string, string>>): CreateRequest => ({
    profile: "test",
    inputs: given,
    environment: { FIRST: "given first" },
    workingDirectory: made.folder
  })
  return { ...made, asked, askSecret, request }
})

describe("a required secret that was not given", () => {
  it.scoped("is prompted for, and only the recipe gets it", () =>
    Effect.gen(function* () {
      const { asked, askSecret, request, sandboxes, secrets, store } = yield* begun
      const { id, inputs } = yield* sandboxes.create({ ...request({ user: "me" }), askSecret })
      expect(asked).toEqual([
        ["first", "The first"],
        ["second", undefined]
      ])
      expect(inputs).toEqual({ user: "me", first: "prompt", second: "prompt" })
      const kept = Object.entries(yield* secrets.get(id, 1)).map(([name, value]) => [
        name,
        Redacted.value(value)
      ])
      expect(Object.fromEntries(kept)).toEqual({ first: "typed first", second: "typed second" })
      expect(
        JSON.stringify([yield* store.get(id), yield* store.plan(id), yield* store.events(id, 0)])
      ).not.toContain("typed")
    })
  )

  it.scoped("is not prompted for if it has a source, nor for a plan", () =>
    Effect.gen(function* () {
      const { asked, askSecret, request, sandboxes } = yield* begun
      const given = { ...request({ user: "me", first: "env:FIRST" }), askSecret }
      expect((yield* sandboxes.plan(given)).inputs).toMatchObject({ first: "env:FIRST", second: "prompt" })
      expect(asked).toEqual([])
      yield* sandboxes.create(given)
      yield* sandboxes.create({
        ...given,
        environment: { ...given.environment, SECOND: "given second" }
      })
      expect(asked).toEqual([["second", undefined]])
    })
  )

  it.scoped("is reported as missing if nobody can be asked; the possible sources are named", () =>
    Effect.gen(function* () {
      const { request, sandboxes } = yield* begun
      expect(yield* Effect.flip(sandboxes.create(request({ user: "me" })))).toMatchObject({
        reason: "input",
        message: "input first is missing",
        hint: "give it: -i first=env:NAME or -i first=@FILE (The first)"
      })
      expect(yield* sandboxes.list()).toEqual([])
    })
  )

  it.scoped("is prompted for only after everything else was checked", () =>
    Effect.gen(function* () {
      const { asked, askSecret, request, sandboxes } = yield* begun
      const refused = (given: Readonly<Record<string, string>>) =>
        Effect.map(Effect.flip(sandboxes.create({ ...request(given), askSecret })), ({ message }) => message)
      expect(yield* refused({})).toBe("input user is missing")
      expect(yield* refused({ user: "me", second: "env:NONE" })).toBe(
        "input second: the environment has no NONE"
      )
      // A literal is none, and is not taken for what the source is called.
      expect(yield* refused({ user: "me", first: "prompt" })).toBe(
        "input first is a secret and cannot be given as it is"
      )
      expect(asked).toEqual([])
    })
  )

  it.scoped("is not asked for if a program gives it as a Redacted, but is when it is retried", () =>
    Effect.gen(function* () {
      const { asked, askSecret, request, sandboxes, secrets, store } = yield* begun
      const given = request({ user: "me" })
      const { id, inputs } = yield* sandboxes.create({
        ...given,
        inputs: { ...given.inputs, first: Redacted.make("one"), second: Redacted.make("two") }
      })
      expect(inputs).toEqual({ user: "me", first: "prompt", second: "prompt" })
      expect((yield* secrets.get(id, 1)).first).toEqual(Redacted.make("one"))
      yield* store.transition(
        id,
        ["requested"],
        { state: "failed" },
        failed(1, {
          reason: "build-failed",
          message: "it failed",
          hint: "see the log",
          logTail: [],
          runbook: null
        })
      )
      expect(yield* Effect.flip(sandboxes.retry(id, { environment: {} }))).toMatchObject({
        message: "input first: its value is not kept",
        hint: "run this at a terminal, to type it"
      })
      expect(asked).toEqual([])
      yield* sandboxes.retry(id, { environment: {}, askSecret })
      expect(asked.map(([name]) => name)).toEqual(["first", "second"])
      expect((yield* secrets.get(id, 2)).first).toEqual(Redacted.make("typed first"))
    })
  )

  it.scoped("leaves no record if nothing was typed", () =>
    Effect.gen(function* () {
      const { request, sandboxes } = yield* begun
      const nothing = new UsageError({ reason: "input", message: "nothing was typed", hint: "type it" })
      const created = sandboxes.create({ ...request({ user: "me" }), askSecret: () => nothing })
      expect((yield* Effect.flip(created)).message).toBe("nothing was typed")
      expect(yield* sandboxes.list()).toEqual([])
    })
  )
})
