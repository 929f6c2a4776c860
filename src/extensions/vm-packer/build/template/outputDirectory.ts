/** Whether a template lets each of its builds have an output directory of its own. */
import type { TextFile } from "./hardware.js"

/** A comment, or a text, which may look like one. */
const commentOrText = /"(?:[^"\\\n]|\\.)*"|\/\*[\s\S]*?\*\/|(?:#|\/\/).*$/gm
const single = /^[ \t]*variable[ \t]+"?output_directory"?[ \t]*\{/m
const several = /^[ \t]*variables[ \t]*\{(?:[^}]*[\n{])?[ \t]*output_directory[ \t]*=/m

const isPlain = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const inJson = (text: string): boolean => {
  try {
    const template: unknown = JSON.parse(text)
    if (!isPlain(template)) return false
    // `variable` is HCL2's, as JSON: an object, or a list of such.
    return [template.variables, template.variable]
      .flat()
      .some((variables) => isPlain(variables) && "output_directory" in variables)
  } catch {
    // Packer says what is wrong with it.
    return false
  }
}

const inHcl = (written: string): boolean => {
  const text = written.replaceAll(commentOrText, (found) => (found.startsWith('"') ? found : ""))
  return single.test(text) || several.test(text)
}

/** Whether a template declares the variable `output_directory`; where it cannot be told, it does not. */
export const declaresOutputDirectory = (files: ReadonlyArray<TextFile>): boolean =>
  files.some(({ name, text }) => (name.endsWith(".json") ? inJson(text) : inHcl(text)))
