/** Lets the event loop turn so many times: every simulated rank does what it can meanwhile. */
export function turns(count = 20): Promise<void> {
  return new Promise((resolve) => {
    const turn = (left: number): void => void (left === 0 ? resolve() : setImmediate(() => turn(left - 1)))
    turn(count)
  })
}
