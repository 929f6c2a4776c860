#!/usr/bin/env node
/** The executable. */
import { launch } from "./launch.js"

launch(import.meta.url)
