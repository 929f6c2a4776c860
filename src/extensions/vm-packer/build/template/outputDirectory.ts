/** Finds out whether a template lets each build have its own output directory. */
import type { TextFile } from "./hardware.js"

/** A comment; or a string, which may contain what looks like a comment. */
const commentOrText = /"(?:[^"\\\n]|\\.)*"|\/\*[\s\S]*?\*\/|(?:#|\/\/).*$/gm
const single = /^[ \t]*variable[ \t]+"?output_directory"?[ \t]*\{/m
const several = /^[ \t]*variables[ \t]*\{(?:[^}]*[\n{])?[ \t]*output_directory[ \t]*=/m

const isPlain = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const inJson = (text: string): boolean => {
  try {
    const template: unknown = JSON.parse(text)
    if (!isPlain(template)) return false
    // `variables` is a JSON template's; `variable` is HCL2 in JSON, an object or a list of objects.
    return [template.variables, template.variable]
      .flat()
      .some((variables) => isPlain(variables) && "output_directory" in variables)
  } catch {
    // Packer reports what is wrong with it.
    return false
  }
}

const inHcl = (written: string): boolean => {
  const text = written.replaceAll(commentOrText, (found) => (found.startsWith('"') ? found : ""))
  return single.test(text) || several.test(text)
}

/** Whether a template declares the variable `output_directory`; false if that cannot be found out. */
export const declaresOutputDirectory = (files: ReadonlyArray<TextFile>): boolean =>
  files.some(({ name, text }) => (name.endsWith(".json") ? inJson(text) : inHcl(text)))
