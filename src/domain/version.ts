/** The version of this package. `scripts/build.js` checks that package.json has the same. */
export const version = "0.1.0"
