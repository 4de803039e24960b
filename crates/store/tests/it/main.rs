//! The contract of the CertificateStore. It runs on SQLite, on PostgreSQL and on the simulation's
//! store in memory, each story in a separate store. Stories that read below the port run on the
//! databases alone.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod actions;
mod certificates;
mod clocks;
mod fairness;
mod faults;
mod fleet;
mod fleet_view;
mod idempotency;
mod jobs;
mod leases;
mod ledger;
mod lock;
mod opening;
mod orders;
mod outbox;
mod pauses;
mod prune;
mod records;
mod renewal_info;
mod revocations;
mod secrets;
mod sync;
mod system;
mod targets;
mod wakes;
mod webhooks;
mod world;

/// Runs each story on a world of this kind.
macro_rules! stories {
    ($world:ident: $($module:ident: [$($story:ident $(: $reason:literal)?),+ $(,)?],)+) => {
        $($($(#[doc = $reason])?
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $story() {
            crate::$module::$story(crate::world::World::$world().await).await;
        })+)+
    };
}

/// Runs the stories of the port on every store, and those of databases on both of them. A story of
/// databases says why it is no behaviour of the port.
macro_rules! contract {
    (
        port: {$($port:tt)*}
        databases: {$($module:ident: [$($story:ident: $reason:literal),+ $(,)?],)+}
    ) => {
        mod on_sqlite {
            stories! { on_sqlite: $($port)* $($module: [$($story: $reason),+],)+ }
        }

        mod on_postgres {
            stories! { on_postgres: $($port)* $($module: [$($story: $reason),+],)+ }
        }

        mod in_memory {
            stories! { in_memory: $($port)* }
        }
    };
}

contract! {
    port: {
        records: [
            a_record_comes_back_as_it_was_written,
            a_revocation_comes_back_with_its_record_and_waits_in_its_lane,
            an_id_is_inserted_once,
            many_are_inserted_in_one_go_each_with_what_goes_along_and_each_id_once,
            an_update_needs_the_revision_that_was_read,
            an_update_takes_the_lease_away,
            a_word_about_a_domain_does_not_take_an_order_out_of_its_workers_hands,
            the_newest_record_that_is_not_gone_holds_a_hostname,
            a_refused_claim_holds_no_hostname_however_new_it_is,
            people_page_through_hostnames_and_search_them_literally,
            records_of_one_name_at_the_end_of_a_page_are_not_passed_over,
            what_strangers_say_is_stored_short,
            history_is_newest_first_and_bounded_per_domain,
            what_is_confirmed_every_day_is_one_line_of_the_history,
            history_that_is_too_old_is_dropped_in_batches_the_oldest_first,
        ],
        webhooks: [
            events_are_due_one_after_the_other_and_each_domain_for_itself,
            a_failed_try_delays_its_domain_alone_and_keeps_the_identifier,
            each_receiver_gets_what_it_wants_and_without_one_nothing_is_written,
            an_event_is_written_once_with_the_record_and_not_without_it,
            what_waited_too_long_is_given_up_and_the_next_goes_on,
            events_are_delivered_again_on_request_in_their_order,
            the_oldest_events_beyond_the_limit_are_given_up_in_batches,
            a_repeated_event_comes_before_those_that_followed_it,
            ended_events_go_after_14_days_and_the_next_one_is_still_due,
        ],
        leases: [
            a_worker_that_lost_its_lease_cannot_overwrite_the_winner,
            outcomes_are_recorded_together_but_for_those_whose_lease_was_lost,
            a_lease_continues_with_the_outcome_and_counts_the_next_attempt,
            a_continued_lease_waits_in_the_lane_of_its_attempt,
            a_continued_lease_ends_like_any_other_and_is_lost_like_any_other,
            two_acquirers_never_share_a_record,
            the_longest_due_comes_first_and_the_limit_is_kept,
            only_due_records_of_the_lane_are_leased,
            an_attempt_counts_at_acquisition_and_a_release_gives_it_back,
            a_release_with_a_stale_token_changes_nothing,
            the_next_due_time_is_when_a_record_can_be_acquired,
            outcome_report_and_event_are_written_together,
            a_record_that_kills_its_workers_goes_to_the_back,
        ],
        ledger: [
            every_bucket_of_an_order_is_debited_or_none,
            each_waiting_domain_has_a_slot_of_its_own_and_keeps_it,
            a_stale_lease_debits_nothing,
            a_blocked_bucket_holds_everybody_even_without_a_limit,
            a_lifted_bucket_is_full_and_serves_whoever_had_a_slot_of_it,
            two_processes_never_spend_more_than_there_is,
            tokens_that_domains_held_come_back_with_the_end_of_their_need,
            an_outcome_settles_the_tokens_that_it_held_in_its_own_transaction,
            tokens_are_taken_in_chunks_and_buckets_that_are_full_are_forgotten,
            what_nobody_can_account_for_is_taken_out_of_a_bucket,
            the_queue_is_leased_as_far_as_there_are_tokens_and_pays_for_each,
            two_processes_lease_from_the_queue_no_more_than_there_are_tokens,
        ],
        clocks: [
            a_clock_that_jumps_steals_no_record,
            a_lease_ends_by_the_stores_own_time,
            a_running_lease_names_its_holder,
            a_clock_that_jumps_steals_no_report,
            a_replica_whose_clock_was_a_day_ahead_leaves_no_limit_used_up_for_a_day,
        ],
        fairness: [
            a_tenant_with_five_due_domains_does_not_wait_for_one_with_ten_thousand,
            single_leases_are_dealt_out_in_turn,
            the_next_due_time_may_be_that_of_one_of_a_crowd,
            a_tenants_own_records_come_longest_due_first,
            permits_that_come_free_go_to_tenants_of_which_fewer_records_are_leased,
            what_is_leased_already_counts_when_many_permits_are_handed_out,
            a_crowd_whose_steps_hang_does_not_take_the_turns_of_its_shard,
            a_tenant_with_a_crowd_does_not_starve_those_of_its_shard,
            an_order_is_filled_however_the_due_records_are_spread,
            two_acquirers_share_out_all_that_is_due_and_neither_goes_away_empty_handed,
            a_renewal_that_becomes_urgent_while_it_waits_is_in_the_urgent_lane,
            a_renewal_that_nobody_was_there_to_begin_becomes_urgent_too,
        ],
        outbox: [
            reports_of_a_domain_are_leased_one_by_one_in_order,
            a_leased_report_blocks_only_its_own_domain,
            progress_is_reported_before_failed_checks_and_does_not_delay_them,
            the_version_of_an_accepted_report_survives_a_later_complete,
            an_accepted_report_never_lowers_the_version,
            a_retried_report_comes_back_at_its_time_before_the_later_ones,
            reports_of_a_domain_that_is_gone_are_dropped,
            a_lost_report_lease_changes_nothing,
            a_report_takes_the_place_of_a_waiting_one_that_it_makes_superfluous,
            a_report_under_way_is_sent_as_it_was_leased,
            reports_added_while_others_finish_are_never_stranded,
        ],
        sync: [
            a_cursor_moves_on_only_from_where_it_was_read,
            a_periodic_task_has_one_holder_and_continues_where_it_stopped,
            a_periodic_task_can_be_made_due_and_is_never_delayed_by_that,
            the_domains_of_a_page_are_known_with_what_the_cabinet_has_yet_to_hear,
            domains_that_a_resync_saw_are_distinguished_from_others,
            a_domain_is_missing_since_it_was_first_missed_until_it_is_seen,
        ],
        targets: [
            a_target_is_of_the_tenant_that_had_it_first_until_long_after_it_was_last_noted,
        ],
        orders: [
            a_domain_has_one_open_order,
            two_workers_that_place_orders_leave_one_open,
            a_step_that_lost_its_lease_stores_no_order,
            an_order_key_put_twice_keeps_the_first,
            an_orders_challenge_is_replaced_and_withdrawn,
            an_account_is_stored_once_and_then_registered,
        ],
        certificates: [
            a_certificate_is_stored_once_per_order_and_closes_it,
            two_workers_that_store_one_orders_certificate_agree,
            a_forgotten_domain_takes_all_that_is_its_own_along_and_needs_its_lease,
            the_generation_grows_when_the_clock_goes_back,
            the_valid_certificates_of_a_domain_are_read_the_newest_first,
            the_newest_generation_of_a_domain_is_read_under_its_lease,
            the_soonest_expiry_is_that_of_a_certificate_in_service,
            a_domain_whose_failure_the_customer_must_mend_is_marked_in_the_survey,
            a_stored_certificate_erases_its_orders_key,
            the_key_of_a_superseded_certificate_is_erased_after_the_rollback_unless_it_is_served,
            live_directories_are_those_that_served_certificates_come_from,
        ],
        prune: [
            a_domain_keeps_its_newest_certificate_and_two_before_it_with_their_orders,
            a_key_is_kept_while_a_live_edge_lacks_the_newer_certificate,
            the_key_of_a_certificate_that_ended_is_erased_whatever_edges_present,
            the_key_of_an_abandoned_order_is_erased_after_a_day_unless_a_record_names_it,
            orders_that_gave_no_certificate_go_thirty_days_after_their_end,
            an_open_order_of_a_record_that_ended_is_closed_and_goes,
            challenges_of_closed_orders_go_after_a_day,
            tokens_that_are_held_for_longer_than_a_month_go,
            two_processes_that_prune_at_once_delete_each_row_once,
        ],
        renewal_info: [
            a_poll_is_about_the_certificate_that_is_served_and_is_claimed_once,
            an_result_of_a_claim_that_ended_changes_nothing,
            a_poll_stays_while_a_record_is_written_and_goes_with_what_was_served,
            the_polls_that_are_due_longest_are_claimed_first_and_each_once,
        ],
        fleet: [
            an_edge_that_fails_has_one_grace_however_often_it_is_noted,
            an_edge_that_answers_is_on_probation_for_as_long_as_its_grace,
            an_edge_is_listed_compared_and_forgotten_with_what_it_held,
            an_edge_that_was_found_waits_until_it_is_approved_and_one_that_is_listed_does_not,
            what_edges_should_hold_is_what_live_domains_serve_and_is_valid,
            the_challenges_under_way_are_those_of_open_orders,
            a_deployment_is_recorded_per_edge_and_never_taken_back_by_an_older_one,
        ],
        fleet_view: [
            tenants_are_listed_in_pages_with_their_domains_by_state,
            every_filter_lists_and_counts_what_it_says_page_by_page,
            a_status_is_kept_with_the_time_at_which_it_began,
            counts_equal_a_recount_after_random_writes,
            counts_are_kept_once_an_hour_for_thirty_days,
            a_step_that_is_put_off_or_forgotten_is_counted_as_such,
        ],
        actions: [
            an_action_is_recorded_with_what_it_does_and_only_then,
            actions_are_read_newest_first_in_pages_and_go_after_400_days,
        ],
        revocations: [
            a_requested_revocation_is_worked_at_by_one_process_under_its_claim,
            a_compromised_key_is_erased_unless_its_record_names_the_certificate,
        ],
        jobs: [
            a_job_is_worked_at_by_one_process_and_continues_at_its_place,
            jobs_are_listed_cancelled_and_go_400_days_after_they_ended,
        ],
        pauses: [
            a_pause_holds_back_the_orders_that_it_covers_and_takes_no_token,
            pauses_are_listed_in_pages_and_each_is_an_action,
            the_pauses_of_a_record_are_those_that_cover_it_the_widest_first,
            what_waits_for_the_end_of_a_pause_is_counted_by_what_it_waits_for,
        ],
        idempotency: [
            a_repeated_call_gets_the_first_answer_and_another_call_does_not,
            a_key_is_taken_over_from_a_dead_process_and_after_a_day,
            a_holder_has_keys_up_to_a_number,
        ],
        system: [
            replicas_are_listed_until_they_are_silent_and_tasks_with_their_last_run,
        ],
        secrets: [
            every_secret_is_listed_in_pages_and_replaced_if_unchanged,
        ],
    }
    databases: {
        fleet_view: [
            the_columns_of_a_record_follow_from_it: "Memory has no columns.",
            an_outcome_writes_the_state_also_of_a_row_that_has_another: "Memory has no columns.",
            a_record_of_an_earlier_version_gets_its_state_with_the_next_count:
                "Memory has no columns.",
            a_list_that_passes_over_many_goes_on_from_window_to_window:
                "Memory reads all records at once.",
        ],
        prune: [
            every_table_is_measured_in_rows_and_bytes: "Memory has no bytes.",
        ],
        records: [
            a_line_of_a_kind_that_a_newer_version_knows_is_shown_as_it_is:
                "Memory keeps values, not texts.",
        ],
        sync: [
            a_record_that_cannot_be_read_is_counted_and_not_known:
                "Memory holds no row that cannot be read.",
        ],
        leases: [
            an_outcome_without_its_report_is_not_written:
                "Memory has no statement that can fail between two others.",
            a_row_that_cannot_be_read_is_blocked_alone:
                "Memory holds no row that cannot be read.",
        ],
        actions: [
            actions_that_cannot_be_read_hide_no_other:
                "Memory holds no row that cannot be read.",
        ],
        outbox: [
            an_unreadable_report_is_dropped_and_the_next_one_follows:
                "Memory holds no row that cannot be read.",
        ],
        renewal_info: [
            a_poll_that_cannot_be_read_keeps_no_other_from_being_asked:
                "Memory holds no row that cannot be read.",
            a_certificate_that_cannot_be_read_keeps_no_other_from_the_survey:
                "Memory holds no row that cannot be read.",
        ],
        faults: [
            a_row_edited_by_hand_is_named_with_its_column:
                "Memory holds no row that cannot be read.",
            a_read_only_database_is_unavailable:
                "Only a database can refuse to write.",
            a_closed_store_is_unavailable:
                "Memory is not closed.",
        ],
        fairness: [
            tenants_are_dealt_out_by_a_secret_of_the_installation:
                "Memory has the same key in each run, so that a run can be repeated.",
        ],
        opening: [
            processes_may_migrate_at_the_same_time: "Memory has no tables.",
            migrating_again_changes_nothing: "Memory has no tables.",
            a_database_of_a_newer_version_is_refused: "Memory has no tables.",
            a_migration_in_another_form_is_refused: "Memory has no tables.",
            reopening_keeps_everything: "Memory ends with its last owner.",
        ],
    }
}
