#!/usr/bin/env node
import { main } from '../bundle/launcher/cli.js'

process.exitCode = await main(process.argv.slice(2))
