"""The traps of the real cloud, one by one, and the tests that spring them in the emulator.

What a client can only do to itself has no row: settings of an SDK, proxies, variables read at import time.
A test that is renamed or removed is missed here.
"""

from importlib import import_module
from typing import Final

import pytest

Row = tuple[str, tuple[str, ...]]
"""A trap, and the tests that spring it: `module: function`, the module without its `test_`."""

BACKUP: Final[tuple[Row, ...]] = (
    (
        "points of our own fill a disk's manual quota of 256; the provider's policies have 1,000 of their own",
        (
            "traps_storage: test_manual_points_fill_their_own_quota_and_automatic_ones_another",
            "ecs_snapshots: test_the_manual_quota_counts_per_disk",
            "ecs_policies: test_the_oldest_of_a_thousand_makes_room",
        ),
    ),
    (
        "for ever is an absent parameter here and -1 there",
        ("traps_storage: test_for_ever_is_absent_here_and_minus_one_there_and_the_bounds_differ_by_a_day",),
    ),
    (
        "the longest retention is 65,535 days here and 65,536 there",
        (
            "traps_storage: test_for_ever_is_absent_here_and_minus_one_there_and_the_bounds_differ_by_a_day",
            "ecs_snapshots: test_retention_is_1_to_65536_days",
            "ecs_snapshots: test_both_bounds_of_retention_are_taken",
        ),
    ),
    (
        "a snapshot of an ESSD is usable while it is still uploaded, others only when complete",
        (
            "traps_storage: test_essd_is_usable_while_uploading_by_disks_only",
            "ecs_snapshots: test_essd_snapshots_are_usable_at_once_others_when_complete",
        ),
    ),
    (
        "ten snapshots of an ESSD at once, one of any other disk",
        ("traps_storage: test_ten_at_once_on_essd_one_elsewhere",),
    ),
    (
        "the provider's retention takes the last point too",
        ("traps_storage: test_the_providers_retention_deletes_even_the_last_point",),
    ),
    (
        "a snapshot that an image or a disk was made of is not deleted",
        (
            "traps_storage: test_trap_5_force_overrides_a_disk_but_never_an_image",
            "ecs_snapshots: test_force_overrides_a_disk_but_never_an_image",
        ),
    ),
    (
        "deleting by force has a price: the disk can no longer be reinitialised",
        ("traps_compute: test_reinitialising_brings_back_what_the_disk_was_made_of",),
    ),
    (
        "deleting what does not exist is a success",
        (
            "traps_storage: test_an_unknown_id_is_ignored_on_delete_or_404_by_a_switch",
            "ecs_snapshots: test_an_unknown_id_is_silently_ignored",
        ),
    ),
    (
        "CreateImage snapshots every disk, and these count in the quota",
        (
            "ecs_images: test_an_image_of_an_instance_snapshots_every_disk_and_they_stay",
            "ecs_images: test_an_image_counts_in_the_snapshot_quota",
        ),
    ),
    ("an image's snapshots survive it", ("traps_storage: test_trap_6_deleting_an_image_leaves_its_snapshots",)),
    (
        "CopyImage leaves snapshots for ever in the other region",
        ("traps_storage: test_a_copied_image_leaves_snapshots_for_ever",),
    ),
    (
        "at a full quota there is no image and no safety snapshot either",
        (
            "traps_storage: test_at_a_full_quota_no_image_and_no_safety_snapshot_is_possible",
            "ecs_copies: test_the_manual_quota_stands_in_the_way_of_an_image_too",
        ),
    ),
)

RESTORE: Final[tuple[Row, ...]] = (
    (
        "a rollback wants the instance stopped",
        ("ecs_snapshots: test_a_rollback_needs_a_stopped_instance_and_a_snapshot_of_that_very_disk",),
    ),
    ("a rollback wants no snapshot under way", ("ecs_snapshots: test_no_rollback_while_a_snapshot_is_under_way",)),
    (
        "a rollback takes snapshots of that very disk only",
        ("traps_storage: test_trap_10_a_rollback_takes_only_snapshots_of_that_very_disk",),
    ),
    ("a rollback brings the size back too", ("traps_compute: test_a_rollback_restores_the_size_too",)),
    (
        "the stop before it may give the machine away, and start without stock",
        (
            "traps_compute: test_an_economical_stop_gives_the_machine_away_once",
            "traps_compute: test_the_accounts_default_stop_is_the_economical_one_unless_the_call_says_otherwise",
        ),
    ),
    (
        "a rollback is not called off, and what was there before is gone",
        ("traps_compute: test_a_rollback_takes_time_and_the_machine_cannot_start_meanwhile",),
    ),
    (
        "a copied snapshot cannot roll back its source, not even when it comes home",
        (
            "traps_storage: test_a_copy_has_no_tags_and_cannot_roll_back_its_source",
            "ecs_copies: test_a_copy_that_came_back_still_cannot_roll_back_its_disk",
        ),
    ),
    ("tags are not copied", ("traps_storage: test_a_copy_has_no_tags_and_cannot_roll_back_its_source",)),
    (
        "images are copied one, or a few, at a time, and the rest wait",
        (
            "traps_storage: test_a_region_copies_five_images_at_once_and_the_rest_wait",
            "ecs_copies: test_an_image_is_copied_once_at_a_time",
        ),
    ),
    (
        "an image is known in its own region only, until it is copied",
        (
            "ecs_shares: test_the_other_account_boots_it_and_copies_it_within_the_region_only",
            "ecs_copies: test_a_copied_base_image_starts_machines_there",
        ),
    ),
)

FAILOVER: Final[tuple[Row, ...]] = (
    (
        "the platform itself restarts a failed host's instances within five minutes",
        (
            "traps_compute: test_the_platform_restarts_what_a_hasty_rebuild_would_double",
            "traps_compute: test_the_platforms_own_restart_can_be_disarmed",
            "ecs_instances: test_or_gives_up_and_leaves_it_stopped",
        ),
    ),
    (
        "events come twice, late, never, and out of order",
        (
            "traps_events: test_the_same_event_may_come_twice_with_one_id",
            "event_targets: test_a_webhooks_delivery_can_be_lost_or_doubled_by_the_menu_of_faults",
            "faults: test_deliveries_come_twice_never_or_late",
            "faults: test_deliveries_overtake_each_other",
        ),
    ),
    (
        "an event's name keeps a status that is over",
        (
            "traps_events: test_the_second_notification_may_keep_the_suffix_of_the_first",
            "traps_compute: test_the_name_of_a_later_notification_may_keep_the_first_status",
        ),
    ),
    ("an event's content may be a text", ("traps_events: test_content_may_be_a_text",)),
    ("a test event has no id", ("traps_events: test_a_test_event_has_no_id_version_user_or_time",)),
    (
        "an alarm speaks once in its mute period of an hour to a day",
        (
            "traps_events: test_one_alert_in_a_day_however_long_it_lasts",
            "traps_events: test_the_mute_period_cannot_be_below_an_hour",
        ),
    ),
    (
        "private names change at once where they are accelerated and after their TTL elsewhere",
        (
            "dns: test_the_next_answer_after_an_update_is_the_new_one",
            "traps_names: test_a_zone_without_acceleration_answers_the_old_value_for_its_ttl_and_has_no_weights",
        ),
    ),
    (
        "clients keep the old address for its TTL, or for ever",
        ("traps_names: test_clients_hold_the_old_ttl_and_some_hold_on_for_ever",),
    ),
    (
        "calls are throttled per account, region and action until the next minute",
        (
            "faults: test_throttling_lasts_until_the_next_minute_begins",
            "faults: test_throttling_by_chance_closes_one_action_of_one_account_and_region_at_a_time",
            "faults_rpc: test_throttling_is_a_client_exception_until_the_next_minute",
            "traps_compute: test_five_thousand_creations_a_minute_are_the_end",
        ),
    ),
    (
        "the console and other tools use up the same budget",
        ("traps_wire: test_all_callers_of_an_account_share_one_budget_per_action",),
    ),
    (
        "an increment of Tablestore that timed out may count twice",
        ("tablestore_disturbances: test_an_increment_that_is_retried_after_a_timeout_counts_twice",),
    ),
    (
        "a scaling group releases a member that stops, also on purpose",
        ("traps_scaling: test_a_member_that_we_stop_on_purpose_is_taken_for_unhealthy_and_replaced",),
    ),
    (
        "only a member on standby may stop",
        (
            "traps_scaling: test_a_member_on_standby_may_stop_as_long_as_it_likes",
            "traps_scaling: test_who_leaves_standby_before_it_runs_is_released_at_the_next_look",
        ),
    ),
    (
        "leaving standby sets the weight to 50, whatever it was",
        ("traps_scaling: test_exit_standby_gives_weight_50_and_not_the_weight_from_before",),
    ),
    (
        "a scale-out goes on booting the old image",
        ("traps_scaling: test_a_scale_out_boots_the_old_image_until_the_configuration_is_changed",),
    ),
    (
        "a connection that stands may outlive the isolation of its machine",
        ("guest_addresses: test_a_connection_that_stands_may_outlive_the_move_into_a_shut_group",),
    ),
    (
        "an instance that is kept keeps its private address",
        (
            "traps_network: test_a_machine_kept_for_inspection_keeps_its_address_from_its_replacement",
            "traps_network: test_its_address_can_be_moved_off_once_it_reads_stopped",
            "traps_network: test_it_cannot_be_moved_off_a_machine_in_a_dark_zone",
        ),
    ),
)

FUNCTIONS: Final[tuple[Row, ...]] = (
    (
        "an error of the function is tried again",
        ("fc_service: test_a_failing_event_is_retried_and_then_sent_to_its_destination",),
    ),
    (
        "a failure that is only reported, or inside the cloud, is not",
        (
            "traps_functions: test_a_failure_that_a_function_only_reports_is_a_success_and_never_tried_again",
            "traps_functions: test_a_tick_that_is_lost_inside_the_cloud_is_neither_tried_again_nor_told",
        ),
    ),
    (
        "ticks get lost, doubled and late",
        (
            "traps_functions: test_a_tick_that_is_lost_inside_the_cloud_is_neither_tried_again_nor_told",
            "faults_fc: test_ticks_are_doubled_lost_late_and_out_of_order",
        ),
    ),
    (
        "python3.12's context has no credentials, the older ones' has",
        ("traps_functions: test_the_newest_runtimes_context_has_no_credentials",),
    ),
    (
        "each function has its own code directory and no other",
        (
            "traps_functions: test_each_function_has_only_what_its_own_code_directory_holds",
            "traps_functions: test_a_code_directory_that_is_missing_stops_the_start",
        ),
    ),
    (
        "a layer is not what was packaged: refused here",
        ("traps_functions: test_layers_and_mounts_are_refused_instead_of_left_out",),
    ),
    (
        "what is queued is delivered for hours",
        (
            "traps_functions: test_what_is_queued_is_delivered_hours_later_where_no_age_was_set",
            "fc_service: test_an_event_that_grew_too_old_is_dropped_and_told",
        ),
    ),
    (
        "after an outage hundreds of stale ticks start at once",
        (
            "traps_functions: test_after_an_outage_hundreds_of_stale_ticks_start_at_once",
            "faults_fc: test_two_hours_of_ticks_arrive_at_once_and_only_the_young_ones_run",
        ),
    ),
    (
        "an account has 100 instances in a region, and only reserved ones are safe",
        (
            "traps_functions: test_the_101st_instance_is_refused_and_only_reserved_ones_are_safe",
            "fc_service: test_reserved_concurrency_is_a_limit_and_a_guarantee",
        ),
    ),
    (
        "an instance that is never idle outlives the keys in its environment",
        ("traps_functions: test_an_instance_that_is_never_idle_outlives_its_credentials",),
    ),
    (
        "a page at a function's default address is stored, at a domain of one's own it is shown",
        (
            "traps_functions: test_a_page_at_the_default_address_is_stored_and_not_shown",
            "traps_functions: test_a_page_at_a_domain_of_ones_own_is_shown",
        ),
    ),
    ("an event handler cannot stream", ("traps_functions: test_an_event_handler_has_no_streaming_answer",)),
)

ECS: Final[tuple[Row, ...]] = (
    (
        "an image that is not available is not listed",
        (
            "traps_storage: test_trap_1_an_image_that_is_not_available_is_simply_absent",
            "ecs_images: test_only_available_images_are_listed_unless_asked",
        ),
    ),
    (
        "without permission there seem to be no instances",
        ("traps_compute: test_without_permission_there_seem_to_be_no_instances",),
    ),
    (
        "a snapshot's retention is only extended, and counts from its creation",
        ("traps_storage: test_trap_3_retention_can_only_be_extended_and_counts_from_creation",),
    ),
    (
        "a snapshot group takes no retention",
        (
            "traps_storage: test_trap_4_a_group_takes_no_retention_so_its_members_live_for_ever_unless_each_is_given_one",  # noqa: E501
        ),
    ),
    (
        "force overrides a disk, never an image",
        ("traps_storage: test_trap_5_force_overrides_a_disk_but_never_an_image",),
    ),
    (
        "an image's snapshots stay, and can be deleted only after it",
        (
            "traps_storage: test_trap_5_force_overrides_a_disk_but_never_an_image",
            "traps_storage: test_trap_6_deleting_an_image_leaves_its_snapshots",
        ),
    ),
    (
        "hours of snapshot policies are UTC+8, all else is UTC",
        ("traps_storage: test_trap_7_policy_hours_are_utc_plus_8_and_all_else_is_utc",),
    ),
    (
        "snapshot policies spell their parameters with small letters",
        ("traps_storage: test_trap_8_policies_spell_their_parameters_with_small_letters",),
    ),
    (
        "deleting a snapshot under way cancels it",
        ("traps_storage: test_trap_9_deleting_a_progressing_snapshot_cancels_it",),
    ),
    (
        "a rollback brings the size back, wants a stopped instance, and a snapshot of that very disk",
        (
            "traps_storage: test_trap_10_a_rollback_takes_only_snapshots_of_that_very_disk",
            "ecs_snapshots: test_a_rollback_needs_a_stopped_instance_and_a_snapshot_of_that_very_disk",
        ),
    ),
    (
        "a replaced system disk is another disk, and its old snapshots roll back nothing",
        ("traps_compute: test_a_replaced_system_disk_has_another_id_and_its_old_snapshots_roll_back_nothing",),
    ),
    (
        "no stock is an error, or a success whose instance disappears",
        (
            "traps_compute: test_a_refusal_for_lack_of_stock_uses_nothing_up",
            "traps_compute: test_a_shortage_may_be_a_success_whose_instance_disappears",
        ),
    ),
    (
        "a stop may be the economical one by default; then stock may lack and the public address changes",
        (
            "traps_compute: test_the_accounts_default_stop_is_the_economical_one_unless_the_call_says_otherwise",
            "traps_compute: test_an_economical_stop_gives_the_machine_away_once",
            "traps_compute: test_a_static_public_address_changes_over_an_economical_stop_and_the_private_one_does_not",
        ),
    ),
    (
        "fewer than ten results a page are ten",
        (
            "traps_compute: test_fewer_than_ten_results_a_page_are_silently_ten",
            "traps_storage: test_traps_14_and_15_small_pages_are_ten_and_an_empty_token_is_the_end",
        ),
    ),
    (
        "with tokens only the empty one is the end, and totals mean nothing",
        (
            "traps_storage: test_traps_14_and_15_small_pages_are_ten_and_an_empty_token_is_the_end",
            "ecs_snapshots: test_the_end_of_an_exact_page_is_an_empty_token",
        ),
    ),
    ("tags of snapshot groups have another shape", ("traps_storage: test_trap_16_tags_of_groups_have_another_shape",)),
    (
        "sizes are texts in snapshots and mappings, numbers in disks and images",
        (
            "traps_storage: test_trap_17_sizes_are_texts_in_snapshots_and_mappings_and_numbers_in_images",
            "ecs_snapshots: test_sizes_of_snapshots_are_texts_and_of_disks_numbers",
        ),
    ),
    (
        "creations answer at once, and fail later",
        (
            "traps_storage: test_trap_18_failure_shows_only_in_polling",
            "ecs_copies: test_a_copy_that_fails_says_so_only_when_asked",
        ),
    ),
    (
        "one mistake has several statuses",
        (
            "traps_storage: test_trap_19_one_mistake_has_several_statuses",
            "traps_compute: test_one_mistake_has_another_status_in_each_call",
        ),
    ),
    ("history tells of finished events only", ("traps_compute: test_finished_events_only_unless_asked",)),
)

NETWORK: Final[tuple[Row, ...]] = (
    (
        "both name services spell parameters and ids in their own ways",
        ("traps_names: test_each_service_has_its_own_spelling_and_the_others_is_refused",),
    ),
    ("a private TTL is one of six", ("traps_names: test_a_private_ttl_is_one_of_six",)),
    (
        "a public TTL is 600 s, and lower only in a paid edition",
        ("traps_names: test_a_public_ttl_is_600_by_default_and_has_a_floor_by_edition",),
    ),
    (
        "a public update that changes nothing is an error",
        ("traps_names: test_an_update_that_changes_nothing_is_an_error_in_public_and_fine_in_private",),
    ),
    (
        "nothing keeps a later writer from winning",
        (
            "traps_names: test_the_last_writer_wins_without_a_word",
            "pvtz: test_the_change_log_tells_who_was_first",
        ),
    ),
    ("an update resets what it omits", ("traps_names: test_an_update_sets_what_it_omits_to_its_default",)),
    (
        "statuses are asked for in one spelling and answered in another",
        ("traps_names: test_public_statuses_are_asked_for_in_one_spelling_and_answered_in_another",),
    ),
    (
        "binding replaces the whole list of VPCs",
        (
            "traps_names: test_binding_one_more_vpc_unbinds_the_others",
            "pvtz: test_binding_replaces_the_whole_list_of_vpcs",
        ),
    ),
    ("a weight is a text here and a number there", ("traps_names: test_a_weight_is_a_text_here_and_a_number_there",)),
    (
        "a balancer that is being configured refuses with 400, 409 and 449",
        ("traps_names: test_a_second_change_within_the_configuring_time_is_refused_with_odd_statuses",),
    ),
    (
        "a balancer changes its zone by itself, and never when told",
        (
            "traps_names: test_no_call_moves_a_balancer_to_its_other_zone",
            "slb: test_the_balancer_itself_moves_out_of_its_dark_primary_zone",
        ),
    ),
    (
        "an accepted scaling call may fail",
        (
            "traps_scaling: test_an_accepted_call_may_still_fail_for_lack_of_stock",
            "traps_scaling: test_some_stock_is_a_warning_and_not_a_success",
        ),
    ),
    (
        "who is not running is released, unless on standby or the check is suspended",
        (
            "traps_scaling: test_a_member_that_we_stop_on_purpose_is_taken_for_unhealthy_and_replaced",
            "traps_scaling: test_a_suspended_health_check_spares_the_stopped_until_it_is_resumed",
            "traps_scaling: test_an_attached_member_that_is_not_entrusted_is_only_let_go",
        ),
    ),
    (
        "leaving standby gives weight 50, or what the group names",
        (
            "traps_scaling: test_exit_standby_gives_weight_50_and_not_the_weight_from_before",
            "traps_scaling: test_exit_standby_takes_the_weight_that_the_group_names",
        ),
    ),
    (
        "answers of Auto Scaling are flat lists (the older version with envelopes is not there)",
        ("ess: test_a_group_is_told_back_as_it_was_made",),
    ),
    (
        "an EIP moves with a gap, and never across a region",
        (
            "traps_network: test_an_eip_survives_its_machine_and_moving_it_leaves_a_gap",
            "traps_network: test_an_eip_never_crosses_a_region",
        ),
    ),
    (
        "search modes of public names do not mean what they say",
        ("traps_names: test_search_modes_do_not_mean_what_they_say",),
    ),
)

WIRE: Final[tuple[Row, ...]] = (
    (
        "parameters are in the query of a POST, the action in a header; older clients otherwise",
        (
            "wire_clients: test_the_sdk_is_answered_with_either_signature_in_either_way",
            "wire_clients: test_everything_in_the_query_of_a_post_is_read",
            "wire_clients: test_everything_in_a_form_is_read",
        ),
    ),
    (
        "a creation without a token that is sent again is made twice, and one with a token once",
        (
            "faults_rpc: test_an_answer_that_is_lost_tells_nothing_of_the_effect",
            "ecs_snapshots: test_the_same_token_with_the_same_parameters_makes_nothing_new",
        ),
    ),
    (
        "no answer, and one that cannot be read, are exceptions without code and status",
        ("faults_rpc: test_an_answer_that_is_lost_tells_nothing_of_the_effect",),
    ),
    (
        "throttling with a wait is an exception of another class than throttling without",
        (
            "faults_rpc: test_throttling_with_a_wait_is_a_class_of_its_own",
            "faults_rpc: test_throttling_is_a_client_exception_until_the_next_minute",
        ),
    ),
    ("a 200 may hold an error", ("faults_rpc: test_a_200_with_a_code_is_no_exception",)),
    ("booleans come in any case", ("wire: test_booleans_are_read_without_regard_to_case",)),
    (
        "an answer of another shape is an empty body and no exception",
        ("traps_wire: test_a_list_that_came_as_one_object_is_no_exception_but_an_empty_body",),
    ),
    (
        "every header that is sent may be signed, and a space is signed otherwise than it travels",
        (
            "wire: test_the_captured_call_has_the_captured_canonical_request",
            "wire_clients: test_the_sdk_is_answered_with_either_signature_in_either_way",
        ),
    ),
    (
        "one action name belongs to several products",
        ("traps_wire: test_one_action_name_means_another_product_by_its_version",),
    ),
)

ROWS: Final = (*BACKUP, *RESTORE, *FAILOVER, *FUNCTIONS, *ECS, *NETWORK, *WIRE)


@pytest.mark.parametrize(("trap", "tests"), ROWS, ids=[trap for trap, _ in ROWS])
def test_the_tests_that_spring_a_trap_are_there(trap: str, tests: tuple[str, ...]) -> None:
    assert tests, f"nothing springs: {trap}"
    for test in tests:
        module, name = test.split(": ")
        there = import_module(f"tests.emulator.test_{module}")
        assert callable(getattr(there, name, None)), f"{test} is gone, which sprang: {trap}"
