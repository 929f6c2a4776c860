import { describe, expect, it } from "@effect/vitest"
import { basename, dirname, HostPath, join, resolve } from "../../src/domain/HostPath.js"

describe("a path of a host", () => {
  it("is joined with exactly one slash", () => {
    expect(join(HostPath("/home/build"), "jobs", "a b")).toBe("/home/build/jobs/a b")
    expect(join(HostPath("/home/build/"), "jobs")).toBe("/home/build/jobs")
    expect(join(HostPath("/"), "jobs")).toBe("/jobs")
  })

  it("has a last segment and a folder", () => {
    expect(basename(HostPath("/home/build/image.qcow2"))).toBe("image.qcow2")
    expect(basename(HostPath("/home/build/"))).toBe("build")
    expect(dirname(HostPath("/home/build/image.qcow2"))).toBe("/home/build")
    expect(dirname(HostPath("/home/build/"))).toBe("/home")
    expect(dirname(HostPath("/home"))).toBe("/")
  })

  it("is resolved: absolute paths stay, others are below a folder", () => {
    expect(resolve(HostPath("/given"), "out/image")).toBe("/given/out/image")
    expect(resolve(HostPath("/given"), "/srv/image")).toBe("/srv/image")
  })
})
