/** Checks of single inputs of attach mode. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import { UsageError } from "../../../domain/Errors.js"
import { isReceipt, receiptName } from "../../../domain/Receipt.js"
import { cookie } from "../../../hosts/Host.js"
import type { PlanRequest } from "../../../recipe/Extension.js"
import { Settings } from "../../../settings/Settings.js"
import { below } from "./Project.js"

export const wrong = (name: string, message: string, hint: string) =>
  Effect.fail(new UsageError({ reason: "input", message: `input ${name}: ${message}`, hint }))

/** Texts that go to a shell program or a file's name there: nothing can have a NUL in it. */
export const hasNul = (value: string) => value.includes("\0")

/** Folders that a project is never put into: everything in them would be deleted. */
const isHome = /^(?:|\/|~|\$HOME|\$\{HOME\})$/

export const checkWorkdir = (workdir: string) => {
  const steps = workdir
    .trim()
    .split("/")
    .filter((step) => step !== "" && step !== ".")
  const plain = `${workdir.trim().startsWith("/") ? "/" : ""}${steps.join("/")}`
  return isHome.test(plain) || hasNul(workdir)
    ? wrong(
        "workdir",
        `${JSON.stringify(workdir)} is no workspace`,
        "name a folder of its own, which may yet have to be made"
      )
    : steps.includes("..")
      ? wrong("workdir", `${JSON.stringify(workdir)} leads upwards`, "write the path without ..")
      : Effect.void
}

export const checkPattern = (pattern: string) => {
  const outside = "what is collected lies in the workspace: give a path relative to it"
  if (pattern === "" || hasNul(pattern)) return wrong("collect", "a path is empty", outside)
  if (/^[/~]/.test(pattern)) return wrong("collect", `${pattern} is not relative to the workspace`, outside)
  if (pattern.split("/").includes(".."))
    return wrong("collect", `${pattern} leads out of the workspace`, outside)
  if (pattern.includes("**")) {
    return wrong(
      "collect",
      `${pattern}: ** means nothing here`,
      "name the folder: all that is in it is collected"
    )
  }
  return pattern === receiptName
    ? wrong("collect", `${receiptName} is what the receipt is called`, "give the file another name")
    : Effect.void
}

export const isFolder = (path: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    Effect.orElseSucceed(
      Effect.map(fs.stat(path), ({ type }) => type === "Directory"),
      () => undefined
    )
  )

export const checkInto = Effect.fn(function* (into: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { home } = yield* Settings
  if (into === home || below(home, into) !== undefined) {
    return yield* wrong(
      "into",
      `${into} is in sandboxer's own folder`,
      "leave it out, or name a folder of yours"
    )
  }
  if ((yield* isFolder(into)) === false) {
    return yield* wrong("into", `${into} is no folder`, "name a folder, which may yet have to be made")
  }
  const receipt = path.join(into, receiptName)
  const there = yield* Effect.orElseSucceed(fs.readFileString(receipt), () => undefined)
  if (there !== undefined && !isReceipt(there)) {
    yield* wrong(
      "into",
      `${receipt} is no receipt of sandboxer's, and would be replaced`,
      "name another folder"
    )
  }
})

export const readEnvironment = Effect.fn(function* ({ inputs: given, secrets, variables }: PlanRequest) {
  for (const name of variables) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || name === cookie) {
      yield* wrong(name, "no environment variable can be called so", "call it by letters, digits and _")
    }
  }
  const plain = variables.filter((name) => !secrets.includes(name) && given[name] !== undefined)
  return {
    environment: Object.fromEntries(
      plain.map((name) => [
        name,
        typeof given[name] === "object" ? JSON.stringify(given[name]) : String(given[name])
      ])
    ),
    secretEnvironment: variables.filter((name) => secrets.includes(name))
  }
})
