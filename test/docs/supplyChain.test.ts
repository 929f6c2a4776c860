import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "@effect/vitest"
import { root } from "../support/documents.js"

interface Package {
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly allowScripts: Readonly<Record<string, boolean>>
}
interface Locked {
  readonly integrity?: string
  readonly optional?: true
  readonly hasInstallScript?: true
}

const read = (name: string): unknown => JSON.parse(readFileSync(join(root, name), "utf8"))
const { allowScripts, dependencies, devDependencies } = read("package.json") as Package
const { packages } = read("package-lock.json") as { readonly packages: Readonly<Record<string, Locked>> }
const locked = Object.entries(packages).flatMap(([path, entry]) =>
  path === "" ? [] : [{ name: path.replace(/^.*node_modules\//, ""), ...entry }]
)

it("each dependency is pinned to one version", () => {
  const versions = Object.entries({ ...dependencies, ...devDependencies })
  expect(versions.length).toBeGreaterThan(10)
  expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([])
})

it("the lock file has a digest for every package that a build on Linux installs", () => {
  const elsewhere =
    /(android|darwin|win32|bsd|openharmony|musl|riscv64|s390x|loong64|ppc64|arm-gnueabihf|-arm$)/
  const without = locked.filter(({ integrity = "" }) => !integrity.startsWith("sha512-"))
  expect(
    without.filter(({ name, optional }) => optional !== true || !elsewhere.test(name)).map(({ name }) => name)
  ).toEqual([])
  expect(locked.length).toBeGreaterThan(100)
})

it("only one of the packages with an install script may run it", () => {
  const scripted = locked.filter(({ hasInstallScript }) => hasInstallScript === true).map(({ name }) => name)
  expect(scripted.filter((name) => allowScripts[name] === undefined)).toEqual([])
  expect(Object.keys(allowScripts).filter((name) => allowScripts[name])).toEqual(["better-sqlite3"])
})
