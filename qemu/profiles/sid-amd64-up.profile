rpctrace2 profile 1
# Where things are in a kernel without symbols, as `cargo qemu profile` has found them by the -dbg kernel of the same version.
# What the lines are: qemu/src/profile/text.rs. Not to be edited: the last line is the SHA-256 of all before it.
version GNU Mach 1.8+git20261028-up-amd64
kernel 849607f47a5aad1a0b6cf187e2d0be9aad5db30d0ffeb3d52c04e07187aa03ac
processors one
label    global 0xffffffff8105c010     0 Load_context
function local  0xffffffff81062190    94 _Xhost_reboot
function local  0xffffffff8105e8d0   136 _Xtask_get_special_port
function local  0xffffffff8105e830   160 _Xtask_set_special_port
data     global 0xffffffff810b3b40     0 _end
function global 0xffffffff81049110   496 assert_wait (pointer, i32) -> nothing
label    global 0x0000000001000000     0 boot_start
function global 0xffffffff81026550  3234 c_boot_entry
function global 0xffffffff810497e0   639 clear_wait (pointer, i32, i32) -> nothing
function global 0xffffffff810443b0    50 convert_task_to_port (pointer) -> pointer
function global 0xffffffff810443f0    50 convert_thread_to_port (pointer) -> pointer
label    global 0xffffffff8102ef10     0 copyin (pointer, pointer, u64) -> i32
function global 0xffffffff81063760   103 copyinmsg (pointer, pointer, u64, u64) -> i32
label    global 0xffffffff8102ef44     0 copyout (pointer, pointer, u64) -> i32
function global 0xffffffff8106bba0   739 device_pager_setup (pointer, i32, u64, u64, pointer) -> i32
label    global 0xffffffff8102eef0     0 discover_x86_cpu_type
data     global 0xffffffff810a4108     8 elapsed_ticks u64
function local  0xffffffff81067740    11 evc_continue
function global 0xffffffff81067840   152 evc_wait
function global 0xffffffff810678e0   139 evc_wait_clear
function global 0xffffffff81068a20   249 exception
function global 0xffffffff81067d20   151 exception_parse_reply (pointer) -> i32
function global 0xffffffff81067f00  2653 exception_raise (pointer, pointer, pointer, i32, i32, i64) -> nothing
function global 0xffffffff81068b70   225 exception_raise_continue_fast
function global 0xffffffff81067dc0   319 exception_raise_continue_slow
function global 0xffffffff81068960   190 exception_try_task
function global 0xffffffff81045e50    54 host_reboot (pointer, i32) -> i32
function global 0xffffffff810272a0    40 init_alloc_aligned (u64, pointer) -> i32
function global 0xffffffff810328e0  2556 ipc_kmsg_copyin
function global 0xffffffff810340d0   976 ipc_kmsg_copyout_body (pointer, pointer, pointer) -> i32
function global 0xffffffff81031060   184 ipc_kmsg_destroy (pointer) -> nothing
function global 0xffffffff81031120    67 ipc_kmsg_free (pointer) -> nothing
function global 0xffffffff81031170   415 ipc_kmsg_get
function global 0xffffffff810313d0   191 ipc_kmsg_put
function global 0xffffffff81041960    69 ipc_kobject_notify (pointer, pointer) -> i32
function global 0xffffffff810419b0   950 ipc_kobject_server (pointer) -> pointer
function global 0xffffffff810354e0   687 ipc_mqueue_copyin (pointer, u32, pointer, pointer) -> i32
function global 0xffffffff81035790  1196 ipc_mqueue_receive (pointer, i32, u32, u32, i32, pointer, pointer, pointer) -> i32
function global 0xffffffff81034fd0  1281 ipc_mqueue_send (pointer, i32, u32) -> i32
function global 0xffffffff810362b0    51 ipc_object_reference (pointer) -> nothing
function global 0xffffffff810362f0    83 ipc_object_release (pointer) -> nothing
function global 0xffffffff810390b0   173 ipc_port_alloc_special (pointer) -> pointer
function global 0xffffffff81038850    91 ipc_port_copy_send (pointer) -> pointer
function global 0xffffffff81039160   159 ipc_port_dealloc_special (pointer, pointer) -> nothing
function global 0xffffffff81038b20  1257 ipc_port_destroy (pointer) -> nothing
function global 0xffffffff810387e0   111 ipc_port_make_send (pointer) -> pointer
function global 0xffffffff81038a20   111 ipc_port_make_sonce (pointer) -> pointer
function global 0xffffffff81037f60   135 ipc_port_nsrequest (pointer, u32, pointer, pointer) -> nothing
function global 0xffffffff81039010   159 ipc_port_release_receive
function global 0xffffffff810388b0   207 ipc_port_release_send (pointer) -> nothing
function global 0xffffffff81039fe0  1116 ipc_right_clean
function global 0xffffffff8103b700  4429 ipc_right_delta
function global 0xffffffff8103a440  2037 ipc_right_destroy
function global 0xffffffff81039700   639 ipc_right_reverse (pointer, pointer, pointer, pointer) -> i32
data     global 0xffffffff810a2ba0     8 ipc_space_kernel pointer
function global 0xffffffff810437a0   409 ipc_task_init (pointer, pointer) -> nothing
function global 0xffffffff81043990   282 ipc_task_terminate (pointer) -> nothing
function global 0xffffffff81043b40    33 ipc_thread_enable (pointer) -> nothing
function global 0xffffffff81043b90   199 ipc_thread_terminate (pointer) -> nothing
function global 0xffffffff8100f7d0    21 kalloc (u64) -> u64
function local  0xffffffff8100f1a0   357 kalloc.part.0
function local  0xffffffff8104bc00    42 kern_invalid
data     global 0xffffffff8108c770     8 kernel_cmdline pointer
data     global 0xffffffff810a8b00     8 kernel_task pointer
function global 0xffffffff8100f7f0    17 kfree (u64, u64) -> nothing
function local  0xffffffff8100e690   342 kfree.part.0
function global 0xffffffff810445a0   113 lock_done (pointer) -> nothing
function global 0xffffffff810447d0    35 lock_try_read (pointer) -> i32
function global 0xffffffff81041360    46 mach_host_self () -> u32
function global 0xffffffff81042420   544 mach_msg
function global 0xffffffff81063e00   285 mach_msg_continue () -> nothing
function global 0xffffffff81065ed0   138 mach_msg_interrupt (pointer) -> i32
function global 0xffffffff81064110   686 mach_msg_receive
function global 0xffffffff81063bd0   559 mach_msg_receive_continue () -> nothing
function global 0xffffffff810643c0  6923 mach_msg_trap (pointer, i32, u32, u32, u32, u32, u32) -> i32
function global 0xffffffff8104bbb0    17 mach_print
function global 0xffffffff81043e20    54 mach_reply_port () -> u32
function global 0xffffffff81043dc0    36 mach_task_self () -> u32
function global 0xffffffff81043df0    33 mach_thread_self () -> u32
data     global 0xffffffff8108d640  4160 mach_trap_table
function global 0xffffffff81023140    23 memcmp (pointer, pointer, u64) -> i32
function global 0xffffffff81023100     9 memcpy (pointer, pointer, u64) -> pointer
function global 0xffffffff81023110    31 memmove (pointer, pointer, u64) -> pointer
function global 0xffffffff81050be0   455 memory_object_create_proxy (pointer, i32, pointer, u32, pointer, u32, pointer, u32, pointer, u32, pointer) -> i32
function global 0xffffffff81023130    14 memset (pointer, i32, u64) -> pointer
function global 0xffffffff81042640    54 mig_get_reply_port
data     global 0xffffffff810a2d10     8 mtime pointer
function local  0xffffffff8104bbd0    39 null_port
data     global 0xffffffff81090000  1192 percpu_array
function global 0xffffffff8100db30    89 printf (pointer, ...) -> i32
function global 0xffffffff81048ab0   182 rdxtree_lookup_common (pointer, u32, i32) -> pointer
function global 0xffffffff810452b0   305 record_time_stamp (pointer) -> nothing
label    global 0xffffffff8102f12c     0 retry_table_end
label    global 0xffffffff8102f1f8     0 sploff
label    global 0xffffffff8102f174     0 splsched () -> i32
label    global 0xffffffff8102f184     0 splx (i32) -> i32
function global 0xffffffff8104b5f0    57 swtch
function local  0xffffffff8104b5c0    44 swtch_continue
function global 0xffffffff8104b8b0    95 swtch_pri
function local  0xffffffff8104b910    66 swtch_pri_continue
label    global 0xffffffff8102ed38   437 syscall64
function global 0xffffffff810431b0   148 syscall_device_write_request (u32, u32, u32, u64, u64, u64) -> i32
function global 0xffffffff81043250   148 syscall_device_writev_request (u32, u32, u32, u64, pointer, u64) -> i32
function global 0xffffffff81042b90   231 syscall_mach_port_allocate (u32, u32, pointer) -> i32
function global 0xffffffff81042c80   159 syscall_mach_port_allocate_name (u32, u32, u32) -> i32
function global 0xffffffff81042d20   151 syscall_mach_port_deallocate (u32, u32) -> i32
function global 0xffffffff81042dc0   447 syscall_mach_port_insert_right (u32, u32, u32, u32) -> i32
function global 0xffffffff81042970   175 syscall_task_create (u32, i32, pointer) -> i32
function global 0xffffffff81042ac0   207 syscall_task_set_special_port (u32, i32, u32) -> i32
function global 0xffffffff81042a70    74 syscall_task_suspend (u32) -> i32
function global 0xffffffff81042a20    74 syscall_task_terminate (u32) -> i32
function global 0xffffffff81042f80   415 syscall_thread_depress_abort (u32) -> i32
function global 0xffffffff81042870   159 syscall_vm_allocate (u32, pointer, u64, i32) -> i32
function global 0xffffffff81042910    90 syscall_vm_deallocate (u32, u64, u64) -> i32
function global 0xffffffff81042720   330 syscall_vm_map (u32, pointer, u64, u64, i32, u32, u64, i32, i32, i32, i32) -> i32
function global 0xffffffff8104bcd0   929 task_create_kernel
function global 0xffffffff8104c130    21 task_deallocate (pointer) -> nothing
function local  0xffffffff8104bc30   151 task_deallocate.part.0
function global 0xffffffff81043e60   119 task_get_special_port (pointer, i32, pointer) -> i32
function global 0xffffffff8104c150     9 task_reference (pointer) -> nothing
function global 0xffffffff81043ee0   118 task_set_special_port (pointer, i32, pointer) -> i32
function global 0xffffffff8104c300   851 task_terminate
function global 0xffffffff8104acc0   129 thread_block (pointer) -> nothing
label    global 0xffffffff8102e7c8     0 thread_bootstrap_return
function global 0xffffffff8104eb90   643 thread_create
function global 0xffffffff8104d7d0  1254 thread_deallocate (pointer) -> nothing
function global 0xffffffff8104eec0   175 thread_force_terminate
function global 0xffffffff8104e1c0  1628 thread_halt
function global 0xffffffff8104dd60   399 thread_halt_self
function global 0xffffffff81043510   655 thread_handoff (pointer, pointer, pointer) -> i32
function global 0xffffffff8104dce0   127 thread_hold (pointer) -> nothing
function global 0xffffffff8104dcc0    17 thread_reference (pointer) -> nothing
function local  0xffffffff8104d350   127 thread_reference.part.0
function global 0xffffffff8104e110   175 thread_release (pointer) -> nothing
function global 0xffffffff81043120   139 thread_set_self_state
function global 0xffffffff8104b960   541 thread_switch
function local  0xffffffff8104bb80    33 thread_switch_continue
label    global 0xffffffff8102e7e0     0 thread_syscall_return (i32) -> nothing
data     global 0xffffffff810a8b80   552 thread_template
function global 0xffffffff8104e820   877 thread_terminate
function global 0xffffffff81049af0   726 thread_wakeup_prim (pointer, i32, i32) -> i32
function global 0xffffffff81043450   191 thread_will_wait_with_timeout (pointer, u32) -> nothing
data     global 0xffffffff8108d4e8     4 tick i32
function global 0xffffffff81019260   854 vm_object_enter (pointer, u64, i32) -> pointer
function global 0xffffffff8101e5c0   209 vm_page_free_contig (pointer, u64) -> nothing
function global 0xffffffff8101e510   175 vm_page_grab_contig (u64, u32) -> pointer
struct dev_ops 104 0x3253e
  member d_mmap 56 8
struct ipc_entry 24 0x4b22
  member ie_bits 4 4
  member ie_object 8 8
struct ipc_kmsg 64 0x4522
  member ikm_header 32 32
  member ikm_marequest 24 8
  member ikm_next 0 8
  member ikm_prev 8 8
  member ikm_size 16 8
struct ipc_port 136 0x26b9
  hole 68 116
  member data.receiver 40 8
  member ip_kobject 48 8
  member ip_msgcount 108 4
  member ip_pset 96 8
  member ip_qlimit 112 4
  member ip_srights 60 4
  member ip_target.ipt_messages.imq_lock_data 16 0
  member ip_target.ipt_messages.imq_messages.ikmq_base 16 8
  member ip_target.ipt_name 8 4
  member ip_target.ipt_object.io_bits 4 4
  member ip_target.ipt_object.io_lock_data 0 0
struct ipc_pset 32 0x703e7
  member ips_target.ipt_messages.imq_lock_data 16 0
  member ips_target.ipt_messages.imq_messages.ikmq_base 16 8
struct ipc_space 88 0x354e
  member is_active 24 4
  member is_lock_data 8 16
  member is_map 32 16
  member is_map.root 40 8
struct mach_device 72 0x32629
  member dev_number 40 4
  member dev_ops 48 8
  member ref_count 0 4
struct mach_trap_t 32 0xd7590
  member mach_trap_function 8 8
struct pcb 488 0x4486
  member iss.edi 280 8
  member iss.edx 320 8
  member iss.esi 288 8
  member iss.r8 272 8
  member iss.r9 264 8
struct percpu 1192 0x3c2
  member active_stack 1184 8
  member active_thread 1176 8
struct rdxtree_node 544 0xcaf87
  member entries 32 512
  member height 12 4
struct task 336 0x3a4e
  hole 36 60 84
  member itk_self 136 8
  member itk_space 200 8
  member lock 0 0
  member messages_sent 288 8
  member thread_list 40 16
struct thread 552 0x2854
  hole 76 164 204 220 260 484
  bits active 50.1 1
  member ast 480 4
  member lock 72 0
  member pcb 80 8
  member saved.exception.exc 280 4
  member saved.receive.option 280 4
  member saved.receive.rcv_size 284 4
  bits state 48.0 16
  member swap_func 104 8
  member task 24 8
  member thread_list 32 16
struct vm_object 144 0x2db0
  member ref_count 24 4
struct vm_page 96 0x2f8b
  member phys_addr 40 8
sum 50794a59ea432f16ad94ad103d692ea9d82ccaa9cac37e8aa7299c1f9ff8eccd
