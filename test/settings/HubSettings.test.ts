import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type HubInput, resolve } from "../../src/settings/HubSettings.js"

const resolved = (input: Partial<HubInput>) =>
  resolve({
    file: {},
    fileName: "/c/config.yaml",
    url: undefined,
    token: undefined,
    beside: (name) => `/c/${name}`,
    ...input
  })

describe("the settings of a State Hub", () => {
  it.effect("are undefined without a URL", () =>
    Effect.map(resolved({ token: "t" }), (found) => expect(found).toBeUndefined())
  )

  it.effect.each([
    ["http://hub", undefined, "http://hub/progress"],
    ["http://hub:8080/", undefined, "http://hub:8080/progress"],
    ["https://hub/api/v2/", "/notes", "https://hub/api/v2/notes"],
    ["https://hub/api?key=1#x", "notes", "https://hub/api/notes?key=1"]
  ])("URL %s and path %s make the endpoint", ([url, path, endpoint]) =>
    Effect.map(resolved({ url: url ?? "", file: path === undefined ? {} : { path } }), (found) =>
      expect(found?.hub.endpoint).toBe(endpoint)
    )
  )

  it.effect("take the URL from the environment first; the file's token is used only for the file's hub", () =>
    Effect.gen(function* () {
      const file = { url: "https://hub/api", tokenFile: "token" }
      const ofFile = yield* resolved({ file })
      const same = yield* resolved({ file, url: "https://hub/other" })
      const other = yield* resolved({ file, url: "http://localhost:8080" })
      const given = yield* resolved({ file, url: "http://localhost:8080", token: "t" })
      expect([ofFile, same, other].map((found) => found?.hub.tokenFile)).toEqual([
        "/c/token",
        "/c/token",
        undefined
      ])
      expect([ofFile?.from, other?.from]).toEqual(["/c/config.yaml", "environment STATE_HUB_URL"])
      expect(given?.hub.token === undefined ? "" : Redacted.value(given.hub.token)).toBe("t")
    })
  )

  it.effect.each([
    [{ url: "ftp://hub" }, "STATE_HUB_URL: the State Hub's URL starts with ftp:"],
    [{ url: "hub" }, 'STATE_HUB_URL: "hub" is not a URL'],
    [{ url: "https://me:secret@hub" }, "STATE_HUB_URL: the State Hub's URL contains credentials"],
    [
      { file: { url: "file:///etc/passwd" } },
      "/c/config.yaml: hub.url: the State Hub's URL starts with file:"
    ],
    [
      { url: "http://hub", file: { fields: { sumary: "text" } } },
      "/c/config.yaml: hub.fields: a note has no field sumary"
    ]
  ] as const)("%j is rejected without showing a secret", ([input, message]) =>
    Effect.map(Effect.flip(resolved(input)), (error) => {
      expect([error.reason, error.message]).toEqual(["configuration", message])
      expect(JSON.stringify(error)).not.toContain("secret")
    })
  )
})
