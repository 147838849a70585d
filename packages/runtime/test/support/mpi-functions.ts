/**
 * All functions of MPI 4.1 (C names, without the large-count forms that end in _c) of the chapters that docs/mpi.md is about, by
 * the heading they stand under there, and those of ULFM. Written down from the standard's own lists of chapters 3 to 11.
 */
export const MPI_FUNCTIONS: Readonly<Record<string, string>> = {
  'Messages (chapter 3)': `
    Send Recv Get_count Status_get_source Status_get_tag Status_get_error Status_set_source Status_set_tag Status_set_error
    Bsend Ssend Rsend Buffer_attach Buffer_detach Buffer_flush Buffer_iflush
    Comm_attach_buffer Comm_detach_buffer Comm_flush_buffer Comm_iflush_buffer
    Session_attach_buffer Session_detach_buffer Session_flush_buffer Session_iflush_buffer
    Isend Ibsend Issend Irsend Irecv Wait Test Request_free Waitany Testany Waitall Testall Waitsome Testsome
    Request_get_status Request_get_status_any Request_get_status_all Request_get_status_some
    Probe Iprobe Mprobe Improbe Mrecv Imrecv Cancel Test_cancelled
    Send_init Bsend_init Ssend_init Rsend_init Recv_init Start Startall
    Sendrecv Sendrecv_replace Isendrecv Isendrecv_replace`,
  'Partitioned messages (chapter 4)': 'Psend_init Precv_init Pready Pready_range Pready_list Parrived',
  'Collectives (chapter 6)': `
    Barrier Bcast Gather Gatherv Scatter Scatterv Allgather Allgatherv Alltoall Alltoallv Alltoallw
    Reduce Allreduce Reduce_scatter_block Reduce_scatter Scan Exscan Reduce_local Op_create Op_free Op_commutative
    Ibarrier Ibcast Igather Igatherv Iscatter Iscatterv Iallgather Iallgatherv Ialltoall Ialltoallv Ialltoallw
    Ireduce Iallreduce Ireduce_scatter_block Ireduce_scatter Iscan Iexscan
    Barrier_init Bcast_init Gather_init Gatherv_init Scatter_init Scatterv_init Allgather_init Allgatherv_init
    Alltoall_init Alltoallv_init Alltoallw_init Reduce_init Allreduce_init Reduce_scatter_block_init Reduce_scatter_init
    Scan_init Exscan_init`,
  'Groups (chapter 7)': `
    Group_size Group_rank Group_translate_ranks Group_compare Comm_group Group_union Group_intersection Group_difference
    Group_incl Group_excl Group_range_incl Group_range_excl Group_from_session_pset Group_free`,
  'Communicators (chapter 7)': `
    Comm_size Comm_rank Comm_compare Comm_dup Comm_dup_with_info Comm_idup Comm_idup_with_info Comm_create
    Comm_create_group Comm_create_from_group Comm_split Comm_split_type Comm_free Comm_set_info Comm_get_info
    Comm_test_inter Comm_remote_size Comm_remote_group Intercomm_create Intercomm_create_from_groups Intercomm_merge
    Comm_set_name Comm_get_name Type_set_name Type_get_name Win_set_name Win_get_name`,
  'Attributes (chapter 7)': `
    Comm_create_keyval Comm_free_keyval Comm_set_attr Comm_get_attr Comm_delete_attr
    Win_create_keyval Win_free_keyval Win_set_attr Win_get_attr Win_delete_attr
    Type_create_keyval Type_free_keyval Type_set_attr Type_get_attr Type_delete_attr`,
  'Topologies (chapter 8)': `
    Cart_create Dims_create Graph_create Dist_graph_create_adjacent Dist_graph_create Topo_test Graphdims_get Graph_get
    Cartdim_get Cart_get Cart_rank Cart_coords Graph_neighbors_count Graph_neighbors Dist_graph_neighbors_count
    Dist_graph_neighbors Cart_shift Cart_sub Cart_map Graph_map
    Neighbor_allgather Neighbor_allgatherv Neighbor_alltoall Neighbor_alltoallv Neighbor_alltoallw
    Ineighbor_allgather Ineighbor_allgatherv Ineighbor_alltoall Ineighbor_alltoallv Ineighbor_alltoallw
    Neighbor_allgather_init Neighbor_allgatherv_init Neighbor_alltoall_init Neighbor_alltoallv_init
    Neighbor_alltoallw_init`,
  'Errors and environment (chapter 9)': `
    Get_version Get_library_version Get_processor_name Get_hw_resource_info Alloc_mem Free_mem
    Comm_create_errhandler Comm_set_errhandler Comm_get_errhandler Comm_call_errhandler
    Win_create_errhandler Win_set_errhandler Win_get_errhandler Win_call_errhandler
    File_create_errhandler File_set_errhandler File_get_errhandler File_call_errhandler
    Session_create_errhandler Session_set_errhandler Session_get_errhandler Session_call_errhandler
    Errhandler_free Error_string Error_class Add_error_class Add_error_code Add_error_string
    Remove_error_class Remove_error_code Remove_error_string Wtime Wtick`,
  'Start, end, and other jobs (chapter 11)': `
    Init Init_thread Initialized Finalize Finalized Query_thread Is_thread_main Abort
    Session_init Session_finalize Session_get_num_psets Session_get_nth_pset Session_get_info Session_get_pset_info
    Comm_spawn Comm_spawn_multiple Comm_get_parent Open_port Close_port Comm_accept Comm_connect
    Publish_name Unpublish_name Lookup_name Comm_disconnect Comm_join`,
  'Recovery (ULFM)': `
    X_Comm_revoke X_Comm_is_revoked X_Comm_shrink X_Comm_ishrink X_Comm_agree X_Comm_iagree X_Comm_get_failed X_Comm_ack_failed
    X_Comm_failure_ack X_Comm_failure_get_acked`,
}

/** The functions under each heading, with their prefix. */
export function mpiFunctions(): Map<string, string[]> {
  const entries = Object.entries(MPI_FUNCTIONS).map(([heading, names]) => {
    const full = names.trim().split(/\s+/)
    return [heading, full.map((name) => (name.startsWith('X_') ? `MPI${name}` : `MPI_${name}`))] as const
  })
  return new Map(entries)
}
