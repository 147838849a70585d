/** On x64 no load overtakes another, or an atomic store before it. */
export const LOADS_ARE_ORDERED = process.arch === 'x64'
