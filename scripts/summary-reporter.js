/** Ends a vitest run with one plain line: `N passed, N failed`, with `, N skipped` if any were. */

/** @import { Reporter } from "vitest/reporters" */
/** @import { TestModule } from "vitest/node" */

/** @implements {Reporter} */
export default class SummaryReporter {
  line = ""

  onInit() {
    // Other reporters write until the very end; print after them.
    process.once("exit", () => process.stdout.write(this.line))
  }

  /**
   * @param {ReadonlyArray<TestModule>} modules
   * @param {ReadonlyArray<unknown>} unhandledErrors
   */
  onTestRunEnd(modules, unhandledErrors) {
    const states = modules.flatMap((module) =>
      [...module.children.allTests()].map((test) => test.result().state)
    )
    const passed = states.filter((state) => state === "passed").length
    const failed = states.filter((state) => state === "failed").length
    const skipped = states.length - passed - failed
    // Failures outside tests count too: a hook, or a file that cannot be imported.
    const around = modules.flatMap((module) =>
      [module, ...module.children.allSuites()].flatMap((part) => part.errors())
    )
    const failures = failed + around.length + unhandledErrors.length
    this.line = `${passed} passed, ${failures} failed${skipped === 0 ? "" : `, ${skipped} skipped`}\n`
  }
}
