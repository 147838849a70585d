import { BIG_INT64, BIG_UINT64, FLOAT16, FLOAT32, FLOAT64, INT32, UINT32 } from '../element-type.js'
import type { TypedArray } from './arrays.js'
import { combinesInVectors, isShortLoop } from './choose.js'
import { isVectorised, vectorKernelFor } from './vector-kernels.js'

/**
 * Combines two arrays item by item: `out[i] = a[i] ∘ b[i]` for i below `length`. `out` may be `a` or `b`. All three are of
 * the kind the kernel was made for.
 */
export type Kernel = (out: TypedArray, a: TypedArray, b: TypedArray, length: number) => void

/** The built-in operations that work on one element at a time. */
export type ElementOperation = 'SUM' | 'PROD' | 'MAX' | 'MIN' | 'LAND' | 'LOR' | 'LXOR' | 'BAND' | 'BOR' | 'BXOR'
/** The built-in operations on [value, index] pairs, interleaved in arrays. */
export type PairOperation = 'MAXLOC' | 'MINLOC'

/**
 * The loop for one built-in operation on arrays of one element type (element-type.ts); null when the operation has no
 * meaning there (bits of floating-point numbers). This is the only door to the kernels.
 *
 * V8 specialises a function on the kinds of array it has seen, and closures of one source text share what was seen: a loop
 * used for two kinds is slower for both. So each kernel is compiled from its own text; where code generation is forbidden
 * (`--disallow-code-generation-from-strings`) one loop serves all kinds, slower and no less right.
 *
 * Results do not depend on the order of the operands: MAX and MIN treat NaN and -0 as Math.max and Math.min do. (Which of
 * NaN's many bit patterns a NaN has is the engine's affair.)
 */
export function kernelFor(operation: ElementOperation | PairOperation, elementType: number): Kernel | null {
  if (operation === 'MAXLOC' || operation === 'MINLOC') return compiled(pairLoop(operation)) ?? generalPairs(operation)
  const isFloat = elementType === FLOAT64 || elementType === FLOAT32 || elementType === FLOAT16
  if (isFloat && (operation === 'BAND' || operation === 'BOR' || operation === 'BXOR')) return null
  const isBigInt = elementType === BIG_INT64 || elementType === BIG_UINT64
  const isWord = elementType === INT32 || elementType === UINT32
  const expression = expressionOf(operation, isBigInt, isWord)
  const short = compiled(elementLoop(expression, SHORT_TURN)) ?? general(expression.combine)
  const long = compiled(elementLoop(expression, LONG_TURN)) ?? short
  return byLength(short, isVectorised(operation, elementType) ? withVectors(long, operation, elementType) : long)
}

/** The loop for short arrays, and another one for long ones. */
function byLength(short: Kernel, long: Kernel): Kernel {
  return (out, a, b, length) => {
    if (isShortLoop(length)) short(out, a, b, length)
    else long(out, a, b, length)
  }
}

/** The plain loop, and WebAssembly for longer arrays where there is any: made when the first of them comes. */
function withVectors(loop: Kernel, operation: ElementOperation, elementType: number): Kernel {
  const bytesPerElement = elementType === FLOAT64 ? 8 : 4
  let vectors: Kernel | null = null
  return (out, a, b, length) => {
    if (!combinesInVectors(length * bytesPerElement, bytesPerElement)) {
      loop(out, a, b, length)
      return
    }
    vectors ??= vectorKernelFor(operation, elementType) ?? loop
    vectors(out, a, b, length)
  }
}

interface Expression {
  readonly text: (a: string, b: string) => string
  /** The same for the general loop. */
  readonly combine: (a: never, b: never) => number | bigint
}

function expressionOf(operation: ElementOperation, isBigInt: boolean, isWord: boolean): Expression {
  switch (operation) {
    case 'SUM':
      return { text: (a, b) => `${a} + ${b}`, combine: (a: number, b: number) => a + b }
    case 'PROD':
      // a product of two 32-bit integers does not fit a double; its low 32 bits are what the array keeps
      if (isWord) return { text: (a, b) => `Math.imul(${a}, ${b})`, combine: Math.imul }
      return { text: (a, b) => `${a} * ${b}`, combine: (a: number, b: number) => a * b }
    case 'MAX':
      if (!isBigInt) return { text: (a, b) => `Math.max(${a}, ${b})`, combine: Math.max }
      return { text: (a, b) => `${a} < ${b} ? ${b} : ${a}`, combine: (a: bigint, b: bigint) => (a < b ? b : a) }
    case 'MIN':
      if (!isBigInt) return { text: (a, b) => `Math.min(${a}, ${b})`, combine: Math.min }
      return { text: (a, b) => `${b} < ${a} ? ${b} : ${a}`, combine: (a: bigint, b: bigint) => (b < a ? b : a) }
    case 'LAND':
      if (isBigInt)
        return { text: (a, b) => `${a} && ${b} ? 1n : 0n`, combine: (a: bigint, b: bigint) => (a && b ? 1n : 0n) }
      return { text: (a, b) => `${a} && ${b} ? 1 : 0`, combine: (a: number, b: number) => (a && b ? 1 : 0) }
    case 'LOR':
      if (isBigInt)
        return { text: (a, b) => `${a} || ${b} ? 1n : 0n`, combine: (a: bigint, b: bigint) => (a || b ? 1n : 0n) }
      return { text: (a, b) => `${a} || ${b} ? 1 : 0`, combine: (a: number, b: number) => (a || b ? 1 : 0) }
    case 'LXOR':
      if (isBigInt)
        return { text: (a, b) => `!${a} !== !${b} ? 1n : 0n`, combine: (a: bigint, b: bigint) => (!a !== !b ? 1n : 0n) }
      return { text: (a, b) => `!${a} !== !${b} ? 1 : 0`, combine: (a: number, b: number) => (!a !== !b ? 1 : 0) }
    case 'BAND':
      return { text: (a, b) => `${a} & ${b}`, combine: (a: number, b: number) => a & b }
    case 'BOR':
      return { text: (a, b) => `${a} | ${b}`, combine: (a: number, b: number) => a | b }
    case 'BXOR':
      return { text: (a, b) => `${a} ^ ${b}`, combine: (a: number, b: number) => a ^ b }
  }
}

/** Elements per turn: 64 KiB of float64 are summed in 5.7 us by 16 a turn, in 8.3 by four, in 15.8 one by one. */
const LONG_TURN = 16
/** A loop of so few is inlined, which is worth more where arrays are short (8 bytes: 15 ns). */
const SHORT_TURN = 4

function elementLoop({ text }: Expression, perTurn: number): string {
  const step = (offset: number) => `out[i + ${offset}] = ${text(`a[i + ${offset}]`, `b[i + ${offset}]`)};`
  const turn = Array.from({ length: perTurn }, (_, offset) => step(offset)).join(' ')
  return `
    let i = 0;
    for (const whole = length - ${perTurn - 1}; i < whole; i += ${perTurn}) { ${turn} }
    for (; i < length; i++) { ${step(0)} }`
}

/** The better value wins, the lower index among equals; NaN beats everything, so that the order does not matter. */
function pairLoop(operation: PairOperation): string {
  const better = operation === 'MAXLOC' ? 'y > x' : 'y < x'
  return `
    for (let i = 0; i < length; i += 2) {
      const x = a[i], y = b[i], j = a[i + 1], k = b[i + 1];
      const takeB = ${better} || (x === y ? k < j : y !== y && (x === x || k < j));
      out[i] = takeB ? y : x;
      out[i + 1] = takeB ? k : j;
    }`
}

function compiled(body: string): Kernel | null {
  try {
    return new Function('out', 'a', 'b', 'length', `'use strict'; ${body}`) as Kernel
  } catch (error) {
    if (error instanceof EvalError) return null
    throw error
  }
}

function general(combine: Expression['combine']): Kernel {
  return (out, a, b, length) => {
    for (let i = 0; i < length; i++) out[i] = combine(a[i] as never, b[i] as never)
  }
}

function generalPairs(operation: PairOperation): Kernel {
  return (out, a, b, length) => {
    for (let i = 0; i < length; i += 2) {
      const takeB = secondWins(operation, a[i]!, a[i + 1]!, b[i]!, b[i + 1]!)
      const from = takeB ? b : a
      const value = from[i]!
      out[i + 1] = from[i + 1]!
      out[i] = value
    }
  }
}

/** Whether the pair (y, k) is the result of combining it with (x, j). */
export function secondWins(
  operation: PairOperation,
  x: number | bigint,
  j: number | bigint,
  y: number | bigint,
  k: number | bigint,
): boolean {
  if (operation === 'MAXLOC' ? y > x : y < x) return true
  if (x === y) return k < j
  const secondIsNaN = Number.isNaN(y)
  return secondIsNaN && (!Number.isNaN(x) || k < j)
}
