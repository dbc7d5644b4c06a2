rpctrace2 profile 1
# Where things are in a kernel without symbols, as `cargo qemu profile` has found them by the -dbg kernel of the same version.
# What the lines are: qemu/src/profile/text.rs. Not to be edited: the last line is the SHA-256 of all before it.
version GNU Mach 1.8+git20261028-smp-amd64
kernel bca93e4368f9abbf3d5ad11f1de55b0699758e0cd0048b31e3d560bca59b004d
processors several
label    local  0x0000000001010000     0 AP_p2table1
label    global 0xffffffff81073408     0 Load_context
label    global 0xffffffff81073524     0 Thread_continue
function local  0xffffffff81079610    94 _Xhost_reboot
function local  0xffffffff81075d50   136 _Xtask_get_special_port
function local  0xffffffff81075cb0   160 _Xtask_set_special_port
data     global 0xffffffff810d94e0     0 _end
label    global 0x0000000001001270     0 apboot_jmp_offset
function global 0xffffffff8105bea0   735 assert_wait (pointer, i32) -> nothing
label    global 0x0000000001000000     0 boot_start
function global 0xffffffff810353f0  3202 c_boot_entry
function global 0xffffffff8105ca80   846 clear_wait (pointer, i32, i32) -> nothing
function global 0xffffffff810556e0   108 convert_task_to_port (pointer) -> pointer
function global 0xffffffff81055750   108 convert_thread_to_port (pointer) -> pointer
label    global 0xffffffff8103df84     0 copyin (pointer, pointer, u64) -> i32
function global 0xffffffff8107abe0   103 copyinmsg (pointer, pointer, u64, u64) -> i32
label    global 0xffffffff8103dfb8     0 copyout (pointer, pointer, u64) -> i32
function global 0xffffffff81083c10  1073 device_pager_setup (pointer, i32, u64, u64, pointer) -> i32
label    global 0xffffffff8103df64     0 discover_x86_cpu_type
data     global 0xffffffff810c8728     8 elapsed_ticks u64
function local  0xffffffff8107f140    11 evc_continue
function global 0xffffffff8107f510   212 evc_wait
function global 0xffffffff8107f5f0   207 evc_wait_clear
function global 0xffffffff810806e0   374 exception
function global 0xffffffff8107f770   167 exception_parse_reply (pointer) -> i32
function global 0xffffffff8107f9a0  3066 exception_raise (pointer, pointer, pointer, i32, i32, i64) -> nothing
function global 0xffffffff810808b0   232 exception_raise_continue_fast
function global 0xffffffff8107f820   382 exception_raise_continue_slow
function global 0xffffffff810805a0   315 exception_try_task
function global 0xffffffff81058240    54 host_reboot (pointer, i32) -> i32
function global 0xffffffff81036140    40 init_alloc_aligned (u64, pointer) -> i32
function global 0xffffffff81041c90  2508 ipc_kmsg_copyin
function global 0xffffffff810435d0   976 ipc_kmsg_copyout_body (pointer, pointer, pointer) -> i32
function global 0xffffffff810402d0   184 ipc_kmsg_destroy (pointer) -> nothing
function global 0xffffffff81040390    67 ipc_kmsg_free (pointer) -> nothing
function global 0xffffffff810403e0   431 ipc_kmsg_get
function global 0xffffffff81040650   191 ipc_kmsg_put
function global 0xffffffff810524a0    69 ipc_kobject_notify (pointer, pointer) -> i32
function global 0xffffffff810524f0   950 ipc_kobject_server (pointer) -> pointer
function global 0xffffffff81044c40   830 ipc_mqueue_copyin (pointer, u32, pointer, pointer) -> i32
function global 0xffffffff81044f80  1258 ipc_mqueue_receive (pointer, i32, u32, u32, i32, pointer, pointer, pointer) -> i32
function global 0xffffffff810446d0  1384 ipc_mqueue_send (pointer, i32, u32) -> i32
function global 0xffffffff81045ae0    85 ipc_object_reference (pointer) -> nothing
function global 0xffffffff81045b40   117 ipc_object_release (pointer) -> nothing
function global 0xffffffff81048d40   183 ipc_port_alloc_special (pointer) -> pointer
function global 0xffffffff81048350   124 ipc_port_copy_send (pointer) -> pointer
function global 0xffffffff81048e00   195 ipc_port_dealloc_special (pointer, pointer) -> nothing
function global 0xffffffff810486c0  1457 ipc_port_destroy (pointer) -> nothing
function global 0xffffffff810482c0   141 ipc_port_make_send (pointer) -> pointer
function global 0xffffffff81048570   137 ipc_port_make_sonce (pointer) -> pointer
function global 0xffffffff81047a80   143 ipc_port_nsrequest (pointer, u32, pointer, pointer) -> nothing
function global 0xffffffff81048c80   180 ipc_port_release_receive
function global 0xffffffff810483d0   247 ipc_port_release_send (pointer) -> nothing
function global 0xffffffff81049fa0  1171 ipc_right_clean
function global 0xffffffff8104b810  4643 ipc_right_delta
function global 0xffffffff8104a440  2285 ipc_right_destroy
function global 0xffffffff81049660   690 ipc_right_reverse (pointer, pointer, pointer, pointer) -> i32
data     global 0xffffffff810c7160     8 ipc_space_kernel pointer
function global 0xffffffff81054640   478 ipc_task_init (pointer, pointer) -> nothing
function global 0xffffffff81054900   316 ipc_task_terminate (pointer) -> nothing
function global 0xffffffff81054ad0   107 ipc_thread_enable (pointer) -> nothing
function global 0xffffffff81054bb0   217 ipc_thread_terminate (pointer) -> nothing
function global 0xffffffff81019a20    21 kalloc (u64) -> u64
function local  0xffffffff81019380   330 kalloc.part.0
function local  0xffffffff8105f9d0    42 kern_invalid
data     global 0xffffffff810a5770     8 kernel_cmdline pointer
data     global 0xffffffff810ce340     8 kernel_task pointer
function global 0xffffffff81019a40    17 kfree (u64, u64) -> nothing
function local  0xffffffff81018730   418 kfree.part.0
function global 0xffffffff81055aa0   166 lock_done (pointer) -> nothing
function global 0xffffffff81055ec0    76 lock_try_read (pointer) -> i32
function global 0xffffffff81051cb0    48 mach_host_self () -> u32
function global 0xffffffff810530c0   544 mach_msg
function global 0xffffffff8107b290   287 mach_msg_continue () -> nothing
function global 0xffffffff8107d7a0   200 mach_msg_interrupt (pointer) -> i32
function global 0xffffffff8107b5a0   686 mach_msg_receive
function global 0xffffffff8107b050   561 mach_msg_receive_continue () -> nothing
function global 0xffffffff8107b850  8001 mach_msg_trap (pointer, i32, u32, u32, u32, u32, u32) -> i32
function global 0xffffffff8105f980    17 mach_print
function global 0xffffffff81054f30    64 mach_reply_port () -> u32
function global 0xffffffff81054ed0    38 mach_task_self () -> u32
function global 0xffffffff81054f00    35 mach_thread_self () -> u32
data     global 0xffffffff810a6640  4160 mach_trap_table
function global 0xffffffff81030b60    23 memcmp (pointer, pointer, u64) -> i32
function global 0xffffffff81030b20     9 memcpy (pointer, pointer, u64) -> pointer
function global 0xffffffff81030b30    31 memmove (pointer, pointer, u64) -> pointer
function global 0xffffffff81066760   490 memory_object_create_proxy (pointer, i32, pointer, u32, pointer, u32, pointer, u32, pointer, u32, pointer) -> i32
function global 0xffffffff81030b50    14 memset (pointer, i32, u64) -> pointer
function global 0xffffffff810532e0    54 mig_get_reply_port
function global 0xffffffff81030030    54 mp_desc_init
function local  0xffffffff8102ff00   183 mp_desc_init.part.0
data     global 0xffffffff810c7330     8 mtime pointer
function local  0xffffffff8105f9a0    39 null_port
data     global 0xffffffff810a9000  9664 percpu_array
function global 0xffffffff81017bb0    89 printf (pointer, ...) -> i32
function global 0xffffffff8105b770   182 rdxtree_lookup_common (pointer, u32, i32) -> pointer
function global 0xffffffff81056ad0   273 record_time_stamp (pointer) -> nothing
label    global 0xffffffff8103e1a0     0 retry_table_end
label    global 0xffffffff8103e2ac     0 sploff
label    global 0xffffffff8103e1f8     0 splsched () -> i32
label    global 0xffffffff8103e214     0 splx (i32) -> i32
function global 0xffffffff8105f220   130 swtch
function local  0xffffffff8105f1e0    58 swtch_continue
function global 0xffffffff8105f590   167 swtch_pri
function local  0xffffffff8105f640    82 swtch_pri_continue
label    global 0xffffffff8103dda0   451 syscall64
function global 0xffffffff81053f60   148 syscall_device_write_request (u32, u32, u32, u64, u64, u64) -> i32
function global 0xffffffff81054000   148 syscall_device_writev_request (u32, u32, u32, u64, pointer, u64) -> i32
function global 0xffffffff81053840   253 syscall_mach_port_allocate (u32, u32, pointer) -> i32
function global 0xffffffff81053940   188 syscall_mach_port_allocate_name (u32, u32, u32) -> i32
function global 0xffffffff81053a00   180 syscall_mach_port_deallocate (u32, u32) -> i32
function global 0xffffffff81053ac0   554 syscall_mach_port_insert_right (u32, u32, u32, u32) -> i32
function global 0xffffffff81053620   175 syscall_task_create (u32, i32, pointer) -> i32
function global 0xffffffff81053770   207 syscall_task_set_special_port (u32, i32, u32) -> i32
function global 0xffffffff81053720    74 syscall_task_suspend (u32) -> i32
function global 0xffffffff810536d0    74 syscall_task_terminate (u32) -> i32
function global 0xffffffff81053cf0   430 syscall_thread_depress_abort (u32) -> i32
function global 0xffffffff81053520   159 syscall_vm_allocate (u32, pointer, u64, i32) -> i32
function global 0xffffffff810535c0    90 syscall_vm_deallocate (u32, u64, u64) -> i32
function global 0xffffffff810533c0   346 syscall_vm_map (u32, pointer, u64, u64, i32, u32, u64, i32, i32, i32, i32) -> i32
function global 0xffffffff8105fde0  1055 task_create_kernel
function global 0xffffffff810602b0   341 task_deallocate (pointer) -> nothing
function global 0xffffffff81054f70   186 task_get_special_port (pointer, i32, pointer) -> i32
function global 0xffffffff81060410    57 task_reference (pointer) -> nothing
function global 0xffffffff81055030   166 task_set_special_port (pointer, i32, pointer) -> i32
function global 0xffffffff81060650  1275 task_terminate
function global 0xffffffff8105e320   202 thread_block (pointer) -> nothing
label    global 0xffffffff8103d7f4     0 thread_bootstrap_return
function global 0xffffffff81064ad0   800 thread_create
function global 0xffffffff810621d0  1428 thread_deallocate (pointer) -> nothing
function global 0xffffffff81064f00   264 thread_force_terminate
function global 0xffffffff81062e30  1992 thread_halt
function global 0xffffffff81062840   531 thread_halt_self
function global 0xffffffff81054330   766 thread_handoff (pointer, pointer, pointer) -> i32
function global 0xffffffff81062790   163 thread_hold (pointer) -> nothing
function global 0xffffffff81062770    17 thread_reference (pointer) -> nothing
function local  0xffffffff81061b90   158 thread_reference.part.0
function global 0xffffffff81062d60   199 thread_release (pointer) -> nothing
function global 0xffffffff81053ea0   186 thread_set_self_state
function global 0xffffffff8105f6a0   681 thread_switch
function local  0xffffffff8105f950    35 thread_switch_continue
label    global 0xffffffff8103d80c     0 thread_syscall_return (i32) -> nothing
data     global 0xffffffff810ce3c0   576 thread_template
function global 0xffffffff81064630  1177 thread_terminate
function global 0xffffffff8105ce60   892 thread_wakeup_prim (pointer, i32, i32) -> i32
function global 0xffffffff81054250   219 thread_will_wait_with_timeout (pointer, u32) -> nothing
data     global 0xffffffff810a64e8     4 tick i32
function global 0xffffffff81024770  1146 vm_object_enter (pointer, u64, i32) -> pointer
function global 0xffffffff8102b050   285 vm_page_free_contig (pointer, u64) -> nothing
function global 0xffffffff8102af80   207 vm_page_grab_contig (u64, u32) -> pointer
struct dev_ops 104 0x37b5d
  member d_mmap 56 8
struct ipc_entry 24 0x4d3d
  member ie_bits 4 4
  member ie_object 8 8
struct ipc_kmsg 64 0x4735
  member ikm_header 32 32
  member ikm_marequest 24 8
  member ikm_next 0 8
  member ikm_prev 8 8
  member ikm_size 16 8
struct ipc_port 144 0x280a
  hole 76 124
  member data.receiver 48 8
  member ip_kobject 56 8
  member ip_msgcount 116 4
  member ip_pset 104 8
  member ip_qlimit 120 4
  member ip_srights 68 4
  member ip_target.ipt_messages.imq_lock_data 16 4
  member ip_target.ipt_messages.imq_messages.ikmq_base 24 8
  member ip_target.ipt_name 12 4
  member ip_target.ipt_object.io_bits 8 4
  member ip_target.ipt_object.io_lock_data 0 4
struct ipc_pset 40 0x7d3e2
  member ips_target.ipt_messages.imq_lock_data 16 4
  member ips_target.ipt_messages.imq_messages.ikmq_base 24 8
struct ipc_space 88 0x334e
  member is_active 24 4
  member is_lock_data 8 16
  member is_map 32 16
  member is_map.root 40 8
struct mach_device 80 0x37c48
  member dev_number 48 4
  member dev_ops 56 8
  member ref_count 4 4
struct mach_trap_t 32 0xec21e
  member mach_trap_function 8 8
struct pcb 488 0x4699
  member iss.edi 280 8
  member iss.edx 320 8
  member iss.esi 288 8
  member iss.r8 272 8
  member iss.r9 264 8
struct percpu 1208 0x46a
  member active_stack 1200 8
  member active_thread 1192 8
struct rdxtree_node 544 0xdde13
  member entries 32 512
  member height 12 4
struct task 352 0x2e27
  hole 12 44 68 92 148
  member itk_self 152 8
  member itk_space 216 8
  member lock 0 4
  member messages_sent 304 8
  member thread_list 48 16
struct thread 576 0x29bd
  hole 164 204 220 236 268 492
  bits active 50.1 1
  member ast 488 4
  member lock 72 4
  member pcb 80 8
  member saved.exception.exc 288 4
  member saved.receive.option 288 4
  member saved.receive.rcv_size 292 4
  bits state 48.0 16
  member swap_func 104 8
  member task 24 8
  member thread_list 32 16
struct vm_object 152 0x384d
  member ref_count 32 4
struct vm_page 96 0x3a28
  member phys_addr 40 8
sum fc77696b45143c526acbaf0f0f1ec6d9dad8695f2350f30744d2cfd4ccc0ea9b
