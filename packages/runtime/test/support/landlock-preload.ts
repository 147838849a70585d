// Preloaded (`--import`) in ranks: gives each a Landlock domain of its own.
import { enterDomain } from './landlock.js'

enterDomain()
