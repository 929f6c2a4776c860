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

/** Fails for an input. */
export const wrong = (name: string, message: string, hint: string) =>
  Effect.fail(new UsageError({ reason: "input", message: `input ${name}: ${message}`, hint }))

/** Whether a text has a NUL, which neither an argument nor a file's name can have. */
export const hasNul = (value: string) => value.includes("\0")

/** Folders that are never a workspace: a sync would delete everything in them. */
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
        `${JSON.stringify(workdir)} cannot be a workspace`,
        "name a folder for this purpose; it is made if it is missing"
      )
    : steps.includes("..")
      ? wrong("workdir", `${JSON.stringify(workdir)} contains ..`, "write the path without it")
      : Effect.void
}

export const checkPattern = (pattern: string) => {
  const outside = "give a path relative to the workspace"
  if (pattern === "" || hasNul(pattern)) return wrong("collect", "a path is empty", outside)
  if (/^[/~]/.test(pattern)) return wrong("collect", `${pattern} is not relative to the workspace`, outside)
  if (pattern.split("/").includes(".."))
    return wrong("collect", `${pattern} leads out of the workspace`, outside)
  if (pattern.includes("**")) {
    return wrong(
      "collect",
      `${pattern}: ** is not supported`,
      "name the folder: all of its files are collected"
    )
  }
  return pattern === receiptName
    ? wrong("collect", `${receiptName} is the name of the receipt`, "give the file another name")
    : Effect.void
}

/** Whether a path is a folder; `undefined` if it cannot be read. */
export const isFolder = (path: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    Effect.orElseSucceed(
      Effect.map(fs.stat(path), ({ type }) => type === "Directory"),
      () => undefined
    )
  )

/** Refuses a folder for results that is sandboxer's own, is a file, or has a `receipt.json` of another program. */
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
    return yield* wrong("into", `${into} is not a folder`, "name a folder; it is made if it is missing")
  }
  const receipt = path.join(into, receiptName)
  const there = yield* Effect.orElseSucceed(fs.readFileString(receipt), () => undefined)
  if (there !== undefined && !isReceipt(there)) {
    yield* wrong(
      "into",
      `${receipt} was not written by sandboxer, and would be replaced`,
      "name another folder"
    )
  }
})

/** The variables of the command's environment: inputs that the profile adds with `variable: true`. */
export const readEnvironment = Effect.fn(function* ({ inputs: given, secrets, variables }: PlanRequest) {
  for (const name of variables) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || name === cookie) {
      yield* wrong(name, "an environment variable cannot have this name", "use letters, digits and _")
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
