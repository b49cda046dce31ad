;; Takes the noise out of a grey picture: each pixel becomes the median of the 3 x 3 pixels around it, where the nearest
;; pixel of the picture stands for one outside of it.
;;
;; The input is a binary PGM ("P5", width, height, 255, without comments) of at most 128 KiB, and so is the output. What is
;; none ends in a trap. Outputs one after another are a PGM file of several pictures, so that a job merges by `concat`.
(module
  (import "azukari" "input_size" (func $input_size (result i32)))
  (import "azukari" "input_read" (func $input_read (param i32 i32 i32) (result i32)))
  (import "azukari" "output_write" (func $output_write (param i32 i32)))
  ;; 0: the nine pixels, sorted; 64: the input, up to 128 KiB; 131136: a row of the output
  (memory 5 5)
  (global $at (mut i32) (i32.const 66))
  (global $width (mut i32) (i32.const 0))
  (global $height (mut i32) (i32.const 0))

  ;; The next number of the header, from 1 to 131072.
  (func $number (result i32) (local $value i32) (local $digit i32)
    (if (i32.eqz (call $is_space (i32.load8_u (global.get $at)))) (then (unreachable)))
    (loop $space
      (global.set $at (i32.add (global.get $at) (i32.const 1)))
      (br_if $space (call $is_space (i32.load8_u (global.get $at)))))
    (block $end
      (loop $next
        (local.set $digit (i32.sub (i32.load8_u (global.get $at)) (i32.const 48)))
        (br_if $end (i32.gt_u (local.get $digit) (i32.const 9)))
        (local.set $value (i32.add (i32.mul (local.get $value) (i32.const 10)) (local.get $digit)))
        (if (i32.gt_u (local.get $value) (i32.const 131072)) (then (unreachable)))
        (global.set $at (i32.add (global.get $at) (i32.const 1)))
        (br $next)))
    (if (i32.eqz (local.get $value)) (then (unreachable)))
    (local.get $value))

  ;; A blank, or one of tab, line feed, vertical tab, form feed, carriage return.
  (func $is_space (param $byte i32) (result i32)
    (i32.or
      (i32.eq (local.get $byte) (i32.const 32))
      (i32.lt_u (i32.sub (local.get $byte) (i32.const 9)) (i32.const 5))))

  ;; A coordinate, moved into 0 to size - 1.
  (func $inside (param $value i32) (param $size i32) (result i32)
    (if (i32.lt_s (local.get $value) (i32.const 0)) (then (return (i32.const 0))))
    (if (i32.ge_s (local.get $value) (local.get $size))
      (then (return (i32.sub (local.get $size) (i32.const 1)))))
    (local.get $value))

  ;; Puts a value into its place among the `count` sorted ones at 0.
  (func $insert (param $value i32) (param $count i32)
    (block $end
      (loop $next
        (br_if $end (i32.eqz (local.get $count)))
        (br_if $end (i32.le_u (i32.load8_u (i32.sub (local.get $count) (i32.const 1))) (local.get $value)))
        (i32.store8 (local.get $count) (i32.load8_u (i32.sub (local.get $count) (i32.const 1))))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store8 (local.get $count) (local.get $value)))

  (func $median (param $x i32) (param $y i32) (result i32) (local $n i32)
    (loop $next
      (call $insert
        (i32.load8_u
          (i32.add
            (global.get $at)
            (i32.add
              (i32.mul
                (call $inside
                  (i32.sub (i32.add (local.get $y) (i32.div_u (local.get $n) (i32.const 3))) (i32.const 1))
                  (global.get $height))
                (global.get $width))
              (call $inside
                (i32.sub (i32.add (local.get $x) (i32.rem_u (local.get $n) (i32.const 3))) (i32.const 1))
                (global.get $width)))))
        (local.get $n))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $n) (i32.const 9))))
    (i32.load8_u (i32.const 4)))

  (func (export "run") (local $size i32) (local $x i32) (local $y i32)
    (local.set $size (call $input_size))
    (if (i32.gt_u (local.get $size) (i32.const 131072)) (then (unreachable)))
    (drop (call $input_read (i32.const 64) (i32.const 0) (local.get $size)))
    ;; "P5"
    (if (i32.ne (i32.load16_u (i32.const 64)) (i32.const 0x3550)) (then (unreachable)))
    (global.set $width (call $number))
    (global.set $height (call $number))
    (if (i32.ne (call $number) (i32.const 255)) (then (unreachable)))
    (if (i32.eqz (call $is_space (i32.load8_u (global.get $at)))) (then (unreachable)))
    (global.set $at (i32.add (global.get $at) (i32.const 1)))
    ;; The pixels, all of them, and nothing else.
    (if
      (i64.ne
        (i64.mul (i64.extend_i32_u (global.get $width)) (i64.extend_i32_u (global.get $height)))
        (i64.extend_i32_s (i32.sub (i32.add (local.get $size) (i32.const 64)) (global.get $at))))
      (then (unreachable)))
    (call $output_write (i32.const 64) (i32.sub (global.get $at) (i32.const 64)))
    (loop $row
      (local.set $x (i32.const 0))
      (loop $pixel
        (i32.store8 offset=131136 (local.get $x) (call $median (local.get $x) (local.get $y)))
        (local.set $x (i32.add (local.get $x) (i32.const 1)))
        (br_if $pixel (i32.lt_u (local.get $x) (global.get $width))))
      (call $output_write (i32.const 131136) (global.get $width))
      (local.set $y (i32.add (local.get $y) (i32.const 1)))
      (br_if $row (i32.lt_u (local.get $y) (global.get $height))))))
