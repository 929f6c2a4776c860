/** A stand-in for qemu-img: an image is qcow2 where it begins as one. */
import { readFileSync, writeFileSync } from "node:fs"
import { point, record } from "./common.js"

const args = process.argv.slice(2)
const magic = "QFI\xfb"

record(args)
await point(`qemu-img ${args[0]} begins`)
if (args[0] === "info") {
  const format = readFileSync(args.at(-1) ?? "", "latin1").startsWith(magic) ? "qcow2" : "raw"
  process.stdout.write(JSON.stringify({ format }))
} else {
  const [from = "", to = ""] = args.slice(-2)
  writeFileSync(to, magic + readFileSync(from, "latin1"), "latin1")
}
