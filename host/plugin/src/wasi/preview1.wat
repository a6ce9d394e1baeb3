;; wasi_snapshot_preview1 for plugins: no arguments, no environment, no files, no sockets. Clocks,
;; randomness, output and exit go to the hub. Answers are the errno of the interface: 0 success,
;; 8 badf, 52 nosys, 70 spipe. All pointers are into the plugin's own memory.
(module
  (import "env" "memory" (memory 0))
  (import "sandbar:preview1/system@0.1.0" "now" (func $now (result i64)))
  (import "sandbar:preview1/system@0.1.0" "random" (func $random (result i64)))
  (import "sandbar:preview1/system@0.1.0" "print" (func $print (param i32 i32 i32)))
  (import "sandbar:preview1/system@0.1.0" "exit" (func $exit (param i32)))

  ;; Nanoseconds on the monotonic clock. It is kept here and not asked of the hub, because memory
  ;; management asks for it too (Go's does), and from in there no call may leave the plugin.
  (global $elapsed (mut i64) (i64.const 0))

  ;; A microsecond later than at the last question: whoever waits for a time to come sees it come.
  (func $elapsed (result i64)
    (global.set $elapsed (i64.add (global.get $elapsed) (i64.const 1000)))
    (global.get $elapsed))
  (func $sleep (param $length i64)
    (global.set $elapsed (i64.add (global.get $elapsed) (local.get $length))))
  (func $sleep_until (param $instant i64)
    (if (i64.gt_u (local.get $instant) (global.get $elapsed))
      (then (global.set $elapsed (local.get $instant)))))

  ;; 0 for a standard stream, else badf.
  (func $standard (param $fd i32) (result i32)
    (select (i32.const 0) (i32.const 8) (i32.le_u (local.get $fd) (i32.const 2))))

  ;; Two counts, both 0.
  (func $none (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))
  (export "args_sizes_get" (func $none))
  (export "environ_sizes_get" (func $none))

  (func $empty (param i32 i32) (result i32) (i32.const 0))
  (export "args_get" (func $empty))
  (export "environ_get" (func $empty))

  (func (export "clock_res_get") (param $clock i32) (param $at i32) (result i32)
    (i64.store (local.get $at) (i64.const 1000))
    (i32.const 0))
  ;; Clock 0 is the wall clock; the others count from the plugin's start.
  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $at i32) (result i32)
    (i64.store (local.get $at)
      (if (result i64) (local.get $clock) (then (call $elapsed)) (else (call $now))))
    (i32.const 0))

  ;; Eight bytes of each number.
  (func (export "random_get") (param $at i32) (param $length i32) (result i32)
    (local $value i64)
    (local $left i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $length)))
        (if (i32.eqz (local.get $left))
          (then
            (local.set $value (call $random))
            (local.set $left (i32.const 8))))
        (i64.store8 (local.get $at) (local.get $value))
        (local.set $value (i64.shr_u (local.get $value) (i64.const 8)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $length (i32.sub (local.get $length) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  (func (export "fd_write") (param $fd i32) (param $pieces i32) (param $count i32) (param $written i32) (result i32)
    (local $sum i32)
    (if (i32.or (i32.eqz (local.get $fd)) (i32.gt_u (local.get $fd) (i32.const 2)))
      (then (return (i32.const 8))))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (call $print
          (i32.eq (local.get $fd) (i32.const 2))
          (i32.load (local.get $pieces))
          (i32.load offset=4 (local.get $pieces)))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $pieces))))
        (local.set $pieces (i32.add (local.get $pieces) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $sum))
    (i32.const 0))
  ;; The standard input is at its end.
  (func (export "fd_read") (param $fd i32) (param $pieces i32) (param $count i32) (param $read i32) (result i32)
    (if (local.get $fd) (then (return (i32.const 8))))
    (i32.store (local.get $read) (i32.const 0))
    (i32.const 0))
  ;; A standard stream is a character device with every right.
  (func (export "fd_fdstat_get") (param $fd i32) (param $at i32) (result i32)
    (if (i32.le_u (local.get $fd) (i32.const 2))
      (then
        (i64.store (local.get $at) (i64.const 2))
        (i64.store offset=8 (local.get $at) (i64.const -1))
        (i64.store offset=16 (local.get $at) (i64.const -1))))
    (call $standard (local.get $fd)))
  (func (export "fd_fdstat_set_flags") (param $fd i32) (param i32) (result i32)
    (call $standard (local.get $fd)))
  (func (export "fd_close") (param $fd i32) (result i32)
    (call $standard (local.get $fd)))
  (func (export "fd_seek") (param $fd i32) (param i64 i32 i32) (result i32)
    (select (i32.const 70) (i32.const 8) (i32.le_u (local.get $fd) (i32.const 2))))

  ;; Everything that is waited for has happened; a wait for a time moves the clock there.
  (func (export "poll_oneoff") (param $in i32) (param $out i32) (param $count i32) (param $ready i32) (result i32)
    (i32.store (local.get $ready) (local.get $count))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (if (i32.eqz (i32.load8_u offset=8 (local.get $in)))
          (then
            (if (i32.and (i32.load8_u offset=40 (local.get $in)) (i32.const 1))
              (then (call $sleep_until (i64.load offset=24 (local.get $in))))
              (else (call $sleep (i64.load offset=24 (local.get $in)))))))
        (i64.store (local.get $out) (i64.load (local.get $in)))
        (i64.store offset=8 (local.get $out)
          (i64.shl (i64.load8_u offset=8 (local.get $in)) (i64.const 16)))
        (i64.store offset=16 (local.get $out) (i64.const 0))
        (i64.store offset=24 (local.get $out) (i64.const 0))
        (local.set $in (i32.add (local.get $in) (i32.const 48)))
        (local.set $out (i32.add (local.get $out) (i32.const 32)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.const 0))
  (func (export "sched_yield") (result i32) (i32.const 0))
  (func (export "proc_exit") (param $status i32)
    (call $exit (local.get $status))
    unreachable)
  (func (export "proc_raise") (param i32) (result i32) (i32.const 52))

  ;; There is no file and no socket to do anything with.
  (func $badf_n (param i32) (result i32) (i32.const 8))
  (export "fd_datasync" (func $badf_n))
  (export "fd_sync" (func $badf_n))
  (func $badf_nn (param i32 i32) (result i32) (i32.const 8))
  (export "fd_filestat_get" (func $badf_nn))
  (export "fd_prestat_get" (func $badf_nn))
  (export "fd_renumber" (func $badf_nn))
  (export "fd_tell" (func $badf_nn))
  (export "sock_shutdown" (func $badf_nn))
  (func $badf_nl (param i32 i64) (result i32) (i32.const 8))
  (export "fd_filestat_set_size" (func $badf_nl))
  (func $badf_nnn (param i32 i32 i32) (result i32) (i32.const 8))
  (export "fd_prestat_dir_name" (func $badf_nnn))
  (export "path_create_directory" (func $badf_nnn))
  (export "path_remove_directory" (func $badf_nnn))
  (export "path_unlink_file" (func $badf_nnn))
  (export "sock_accept" (func $badf_nnn))
  (func $badf_nll (param i32 i64 i64) (result i32) (i32.const 8))
  (export "fd_allocate" (func $badf_nll))
  (export "fd_fdstat_set_rights" (func $badf_nll))
  (func $badf_nlln (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (export "fd_advise" (func $badf_nlln))
  (export "fd_filestat_set_times" (func $badf_nlln))
  (func $badf_nnnnn (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (export "path_filestat_get" (func $badf_nnnnn))
  (export "path_symlink" (func $badf_nnnnn))
  (export "sock_send" (func $badf_nnnnn))
  (func $badf_nnnln (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (export "fd_pread" (func $badf_nnnln))
  (export "fd_pwrite" (func $badf_nnnln))
  (export "fd_readdir" (func $badf_nnnln))
  (func $badf_nnnnnn (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (export "path_readlink" (func $badf_nnnnnn))
  (export "path_rename" (func $badf_nnnnnn))
  (export "sock_recv" (func $badf_nnnnnn))
  (func $badf_nnnnnnn (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (export "path_link" (func $badf_nnnnnnn))
  (func $badf_nnnnlln (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 8))
  (export "path_filestat_set_times" (func $badf_nnnnlln))
  (func $badf_nnnnnllnn (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 8))
  (export "path_open" (func $badf_nnnnnllnn))
)
