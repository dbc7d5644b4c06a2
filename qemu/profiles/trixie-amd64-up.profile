rpctrace2 profile 1
# Where things are in a kernel without symbols, as `cargo qemu profile` has found them by the -dbg kernel of the same version.
# What the lines are: qemu/src/profile/text.rs. Not to be edited: the last line is the SHA-256 of all before it.
version GNU Mach 1.8+git20250702-up-amd64
kernel 0b2fedaaa26197aa022a5baaf289c8cb9bc159fc92a41d204763b54d40388747
processors one
function local  0xffffffff810631a0    87 _Xhost_reboot
function local  0xffffffff8105fea0   132 _Xtask_get_special_port
function local  0xffffffff81060f20   124 _Xtask_set_special_port
data     global 0xffffffff810a7688     0 _end
function global 0xffffffff81019600   496 assert_wait (pointer, i32) -> nothing
label    global 0x0000000001000000     0 boot_start
function global 0xffffffff8100c180  1505 c_boot_entry
label    global 0xffffffff81011ed8     0 call_continuation
function global 0xffffffff81019ca0   639 clear_wait (pointer, i32, i32) -> nothing
function global 0xffffffff81055750    50 convert_task_to_port (pointer) -> pointer
function global 0xffffffff81055790    50 convert_thread_to_port (pointer) -> pointer
label    global 0xffffffff81012244     0 copyin (pointer, pointer, u64) -> i32
function global 0xffffffff81064850   103 copyinmsg (pointer, pointer, u64, u64) -> i32
label    global 0xffffffff81012278     0 copyout (pointer, pointer, u64) -> i32
function global 0xffffffff8105cb60   694 device_pager_setup (pointer, i32, u64, u64, pointer) -> i32
data     global 0xffffffff8108f0e8     8 elapsed_ticks u64
function local  0xffffffff810506e0    11 evc_continue
function global 0xffffffff810507e0   152 evc_wait
function global 0xffffffff81050880   139 evc_wait_clear
function global 0xffffffff81051920   217 exception
function global 0xffffffff81050cb0   134 exception_parse_reply (pointer) -> i32
function global 0xffffffff81050e70  2563 exception_raise (pointer, pointer, pointer, i32, i32, i64) -> nothing
function global 0xffffffff81051a50   225 exception_raise_continue_fast
function global 0xffffffff81050d40   298 exception_raise_continue_slow
function global 0xffffffff81051880   160 exception_try_task
function global 0xffffffff81014a30    54 host_reboot (pointer, i32) -> i32
function global 0xffffffff8100c810    40 init_alloc_aligned (u64, pointer) -> i32
function global 0xffffffff81040120  2177 ipc_kmsg_copyin
function global 0xffffffff810418f0   873 ipc_kmsg_copyout_body (pointer, pointer, pointer) -> i32
function global 0xffffffff8103e9e0   148 ipc_kmsg_destroy (pointer) -> nothing
function global 0xffffffff8103ea80    21 ipc_kmsg_free (pointer) -> nothing
function global 0xffffffff8103eaa0   383 ipc_kmsg_get
function global 0xffffffff8103ecd0   191 ipc_kmsg_put
function global 0xffffffff81052e80    69 ipc_kobject_notify (pointer, pointer) -> i32
function global 0xffffffff81052ed0   955 ipc_kobject_server (pointer) -> pointer
function global 0xffffffff81042b80   607 ipc_mqueue_copyin (pointer, u32, pointer, pointer) -> i32
function global 0xffffffff81042de0  1100 ipc_mqueue_receive (pointer, i32, u32, u32, i32, pointer, pointer, pointer) -> i32
function global 0xffffffff81042710  1127 ipc_mqueue_send (pointer, i32, u32) -> i32
function global 0xffffffff810438a0    51 ipc_object_reference (pointer) -> nothing
function global 0xffffffff810438e0    91 ipc_object_release (pointer) -> nothing
function global 0xffffffff810463e0   173 ipc_port_alloc_special (pointer) -> pointer
function global 0xffffffff81045c60    91 ipc_port_copy_send (pointer) -> pointer
function global 0xffffffff81046490   159 ipc_port_dealloc_special (pointer, pointer) -> nothing
function global 0xffffffff81045f50   999 ipc_port_destroy (pointer) -> nothing
function global 0xffffffff81045bf0   111 ipc_port_make_send (pointer) -> pointer
function global 0xffffffff81045e40   111 ipc_port_make_sonce (pointer) -> pointer
function global 0xffffffff810454a0   127 ipc_port_nsrequest (pointer, u32, pointer, pointer) -> nothing
function global 0xffffffff81046340   159 ipc_port_release_receive
function global 0xffffffff81045cc0   207 ipc_port_release_send (pointer) -> nothing
function global 0xffffffff810472a0  1084 ipc_right_clean
function global 0xffffffff81048560  3452 ipc_right_delta
function global 0xffffffff810476e0  1721 ipc_right_destroy
function global 0xffffffff81046a40   591 ipc_right_reverse (pointer, pointer, pointer, pointer) -> i32
data     global 0xffffffff810a27e0     8 ipc_space_kernel pointer
function global 0xffffffff81054c00   369 ipc_task_init (pointer, pointer) -> nothing
function global 0xffffffff81054dd0   251 ipc_task_terminate (pointer) -> nothing
function global 0xffffffff81054f60    33 ipc_thread_enable (pointer) -> nothing
function global 0xffffffff81054fb0   175 ipc_thread_terminate (pointer) -> nothing
function global 0xffffffff81018fc0    21 kalloc (u64) -> u64
function local  0xffffffff81018a10   318 kalloc.part.0
function local  0xffffffff8101c240    42 kern_invalid
data     global 0xffffffff81086000     8 kernel_cmdline pointer
data     global 0xffffffff810947c0     8 kernel_task pointer
function global 0xffffffff81018fe0    17 kfree (u64, u64) -> nothing
function local  0xffffffff81017ed0   339 kfree.part.0
function global 0xffffffff810559f0   121 lock_done (pointer) -> nothing
function global 0xffffffff81055c20    35 lock_try_read (pointer) -> i32
function global 0xffffffff81052960    46 mach_host_self () -> u32
function global 0xffffffff81053950   610 mach_msg
function global 0xffffffff8104bc00   287 mach_msg_continue () -> nothing
function global 0xffffffff8104dce0   138 mach_msg_interrupt (pointer) -> i32
function global 0xffffffff8104bf10   672 mach_msg_receive
function global 0xffffffff8104b9c0   571 mach_msg_receive_continue () -> nothing
function global 0xffffffff8104c1b0  6948 mach_msg_trap (pointer, i32, u32, u32, u32, u32, u32) -> i32
function global 0xffffffff8101c1f0    17 mach_print
function global 0xffffffff81055220    54 mach_reply_port () -> u32
function global 0xffffffff810551c0    36 mach_task_self () -> u32
function global 0xffffffff810551f0    33 mach_thread_self () -> u32
data     global 0xffffffff81086900  4160 mach_trap_table
function global 0xffffffff81038040    23 memcmp (pointer, pointer, u64) -> i32
function global 0xffffffff81038000     9 memcpy (pointer, pointer, u64) -> pointer
function global 0xffffffff81038010    32 memmove (pointer, pointer, u64) -> pointer
function global 0xffffffff81058ee0   415 memory_object_create_proxy (pointer, i32, pointer, u32, pointer, u32, pointer, u32, pointer, u32, pointer) -> i32
function global 0xffffffff81038030    14 memset (pointer, i32, u64) -> pointer
function global 0xffffffff81053bc0    37 mig_get_reply_port
data     global 0xffffffff8108f0d0     8 mtime pointer
function local  0xffffffff8101c210    39 null_port
data     global 0xffffffff8108dca0  1168 percpu_array
function global 0xffffffff810161c0    89 printf (pointer, ...) -> i32
function global 0xffffffff81057430   187 rdxtree_lookup_common (pointer, u32, i32) -> pointer
function global 0xffffffff81014070   239 record_time_stamp (pointer) -> nothing
label    global 0xffffffff81012460     0 retry_table_end
label    global 0xffffffff81012002     0 return_to_iret
label    global 0xffffffff8101251c     0 sploff
label    global 0xffffffff810124a4     0 splsched () -> i32
label    global 0xffffffff810124b4     0 splx (i32) -> i32
function global 0xffffffff8101bca0    57 swtch
function local  0xffffffff8101bc70    44 swtch_continue
function global 0xffffffff8101bf40    95 swtch_pri
function local  0xffffffff8101bfa0    66 swtch_pri_continue
label    global 0xffffffff8101208c   410 syscall64
function global 0xffffffff81054650   119 syscall_device_write_request (u32, u32, u32, u64, u64, u64) -> i32
function global 0xffffffff810546d0   119 syscall_device_writev_request (u32, u32, u32, u64, pointer, u64) -> i32
function global 0xffffffff81054090   191 syscall_mach_port_allocate (u32, u32, pointer) -> i32
function global 0xffffffff81054150   143 syscall_mach_port_allocate_name (u32, u32, u32) -> i32
function global 0xffffffff810541e0   143 syscall_mach_port_deallocate (u32, u32) -> i32
function global 0xffffffff81054270   431 syscall_mach_port_insert_right (u32, u32, u32, u32) -> i32
function global 0xffffffff81053eb0   170 syscall_task_create (u32, i32, pointer) -> i32
function global 0xffffffff81053fe0   176 syscall_task_set_special_port (u32, i32, u32) -> i32
function global 0xffffffff81053fa0    62 syscall_task_suspend (u32) -> i32
function global 0xffffffff81053f60    62 syscall_task_terminate (u32) -> i32
function global 0xffffffff81054420   399 syscall_thread_depress_abort (u32) -> i32
function global 0xffffffff81053dc0   148 syscall_vm_allocate (u32, pointer, u64, i32) -> i32
function global 0xffffffff81053e60    76 syscall_vm_deallocate (u32, u64, u64) -> i32
function global 0xffffffff81053c80   320 syscall_vm_map (u32, pointer, u64, u64, i32, u32, u64, i32, i32, i32, i32) -> i32
function global 0xffffffff8101c310   773 task_create_kernel
function global 0xffffffff8101c6d0    21 task_deallocate (pointer) -> nothing
function local  0xffffffff8101c270   151 task_deallocate.part.0
function global 0xffffffff81055260   118 task_get_special_port (pointer, i32, pointer) -> i32
function global 0xffffffff8101c6f0     9 task_reference (pointer) -> nothing
function global 0xffffffff810552e0   134 task_set_special_port (pointer, i32, pointer) -> i32
function global 0xffffffff8101c840   742 task_terminate
function global 0xffffffff8101b0c0   145 thread_block (pointer) -> nothing
label    global 0xffffffff81011eb0     0 thread_bootstrap_return
function global 0xffffffff8101ec50   587 thread_create
function global 0xffffffff8101da10  1175 thread_deallocate (pointer) -> nothing
function global 0xffffffff8101ef50   191 thread_force_terminate
function global 0xffffffff8101e380  1453 thread_halt
function global 0xffffffff8101df50   335 thread_halt_self
function global 0xffffffff81054960   655 thread_handoff (pointer, pointer, pointer) -> i32
function global 0xffffffff8101ded0   127 thread_hold (pointer) -> nothing
function global 0xffffffff8101deb0    17 thread_reference (pointer) -> nothing
function local  0xffffffff8101d590   127 thread_reference.part.0
function global 0xffffffff8101e2d0   175 thread_release (pointer) -> nothing
function global 0xffffffff810545b0   147 thread_set_self_state
function global 0xffffffff8101bff0   461 thread_switch
function local  0xffffffff8101c1c0    33 thread_switch_continue
label    global 0xffffffff81011ec0     0 thread_syscall_return (i32) -> nothing
data     global 0xffffffff81094840   552 thread_template
function global 0xffffffff8101e930   797 thread_terminate
function global 0xffffffff81019fc0   710 thread_wakeup_prim (pointer, i32, i32) -> i32
function global 0xffffffff810548b0   175 thread_will_wait_with_timeout (pointer, u32) -> nothing
data     global 0xffffffff810867b0     4 tick i32
function global 0xffffffff81029200   826 vm_object_enter (pointer, u64, i32) -> pointer
function global 0xffffffff8102df00   209 vm_page_free_contig (pointer, u64) -> nothing
function global 0xffffffff8102de50   167 vm_page_grab_contig (u64, u32) -> pointer
struct dev_ops 104 0x23d7
  member d_mmap 56 8
struct ipc_entry 24 0x1ebbd
  member ie_bits 4 4
  member ie_object 8 8
struct ipc_kmsg 64 0x1baa0
  member ikm_header 32 32
  member ikm_marequest 24 8
  member ikm_next 0 8
  member ikm_prev 8 8
  member ikm_size 16 8
struct ipc_port 136 0x1ccfa
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
struct ipc_pset 32 0xc1cdf
  member ips_target.ipt_messages.imq_lock_data 16 0
  member ips_target.ipt_messages.imq_messages.ikmq_base 16 8
struct ipc_space 88 0x1d4c1
  member is_active 24 4
  member is_lock_data 8 16
  member is_map 32 16
  member is_map.root 40 8
struct mach_device 72 0x24c0
  member dev_number 40 4
  member dev_ops 48 8
  member ref_count 0 4
struct mach_trap_t 32 0x3c1ba
  member mach_trap_function 8 8
struct pcb 472 0x3a9d
  member iss.edi 264 8
  member iss.edx 304 8
  member iss.esi 272 8
  member iss.r8 256 8
  member iss.r9 248 8
struct percpu 1168 0x144e4
  member active_stack 1160 8
  member active_thread 1152 8
struct rdxtree_node 544 0x13c81e
  member entries 32 512
  member height 12 4
struct task 328 0x3164
  hole 36 60
  member itk_self 128 8
  member itk_space 192 8
  member lock 0 0
  member messages_sent 280 8
  member thread_list 40 16
struct thread 552 0x1e46
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
struct vm_object 144 0x29f1
  member ref_count 24 4
struct vm_page 80 0x2bcc
  member phys_addr 24 8
sum f6e5f36c646065c1cd272730143132d370a5b003d4964450e6ae3a39401f440d
