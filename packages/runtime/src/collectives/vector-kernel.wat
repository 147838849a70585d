;; The loop of every vector kernel: out[i] = a[i] (op) b[i], 64 bytes per turn. `out` may be `a` or `b`; `end` is where `out`
;; ends, a multiple of 64 bytes after its start, and something is always to be done.
;;
;; scripts/vector-kernels.mjs makes one function of it per operation and element type, puts the operation's instruction in
;; the place of OP, and adds the module around them. f64x2.min and its like treat NaN and -0 as Math.min does; single precision
;; is rounded once, as a Float32Array rounds what doubles gave; integers wrap, and products keep their low 32 bits.
(func (export "NAME") (param $out i32) (param $a i32) (param $b i32) (param $end i32)
  (loop $turn
    (v128.store (local.get $out)
      (OP (v128.load (local.get $a)) (v128.load (local.get $b))))
    (v128.store offset=16 (local.get $out)
      (OP (v128.load offset=16 (local.get $a)) (v128.load offset=16 (local.get $b))))
    (v128.store offset=32 (local.get $out)
      (OP (v128.load offset=32 (local.get $a)) (v128.load offset=32 (local.get $b))))
    (v128.store offset=48 (local.get $out)
      (OP (v128.load offset=48 (local.get $a)) (v128.load offset=48 (local.get $b))))
    (local.set $a (i32.add (local.get $a) (i32.const 64)))
    (local.set $b (i32.add (local.get $b) (i32.const 64)))
    (local.set $out (i32.add (local.get $out) (i32.const 64)))
    (br_if $turn (i32.lt_u (local.get $out) (local.get $end)))))
