/**
 * The distance, in calls, between the points at which a test has a supervisor die. In `make check` it is seven, because
 * test/crash-points/fence.test.ts stops a supervisor before each of its writes, and nothing that outlives it changes
 * between two writes. `make check-long` sets EVERY_CRASH_POINT: then it is one.
 */
export const crashPointStep = process.env.EVERY_CRASH_POINT === undefined ? 7 : 1
