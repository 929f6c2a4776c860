/** The version of this package; `scripts/build.js` makes sure that it is package.json's. */
export const version = "0.1.0"
