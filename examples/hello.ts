/**
 * The smallest job: every rank says who it is, rank 0 prints what it heard.
 *
 *   npx onecopy run -n 4 examples/hello.ts
 */
import { init } from 'onecopy'

const world = await init()

const greetings = await world.gather(`hello from rank ${world.rank} of ${world.size}, process ${process.pid}`, 0)

if (world.rank === 0) for (const greeting of greetings!) console.log(greeting)
