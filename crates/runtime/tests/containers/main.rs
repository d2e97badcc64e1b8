//! Real containers: the embedded runtime end to end, as root, with a root file system made of busybox.
//!
//! Reads `/bin/busybox` of the host; writes to a tmpfs in a mount namespace of its own and to control groups under
//! `/kogge-test-PID`. Has its own `main`, since shims are re-executions of this binary. Invariant: every test begins with
//! an empty state directory and ends, also when it fails, with the check that nothing is left on the host.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod host;
mod isolation;
mod lifecycle;
mod streams;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use host::Host;

/// Longest time one test may take.
const TEST_LIMIT: Duration = Duration::from_secs(90);

type Test = for<'a> fn(&'a mut Host) -> futures::future::BoxFuture<'a, ()>;

/// Names a test after its function.
macro_rules! tests {
    ($($module:ident: $($name:ident),+ $(,)?;)+) => {
        &[$($((concat!(stringify!($module), "::", stringify!($name)), |host| $module::$name(host).boxed())),+),+]
    };
}

const TESTS: &[(&str, Test)] = tests! {
    lifecycle:
        a_program_runs_and_its_output_is_logged,
        a_program_that_cannot_start_says_why,
        stopping_signals_first_and_kills_after_the_grace,
        an_oom_kill_is_reported,
        an_oom_kill_of_a_child_is_an_event,
        logs_rotate_without_losing_a_line,
        limits_can_be_read_and_changed,
        sandboxes_can_be_stopped_and_removed_twice,
        containers_survive_the_agent,
        a_killed_shim_takes_its_containers_along,
        a_shim_that_died_unseen_is_noticed_on_opening,
        purging_leaves_nothing,
        a_state_directory_has_one_user,
        the_binary_is_out_of_a_containers_reach,
        nonsense_on_the_socket_harms_nobody,
        many_containers_run_at_once,
        starting_is_fast;
    isolation:
        identity_and_environment_are_as_configured,
        capabilities_seccomp_and_no_new_privs_hold,
        commands_are_confined_like_their_container,
        a_read_only_root_is_read_only,
        kernel_files_are_masked_and_protected,
        volumes_are_mounted_as_configured,
        propagation_is_as_configured,
        containers_of_a_pod_share_what_they_should,
        a_shared_pid_namespace_reaps_and_hides_the_host,
        a_privileged_container_may_do_everything,
        the_host_network_is_the_hosts,
        a_given_network_namespace_is_joined,
        a_localhost_profile_is_enforced,
        links_in_an_image_do_not_lead_out;
    streams:
        commands_return_their_code_and_output,
        commands_that_take_too_long_are_killed,
        commands_get_their_input,
        a_terminal_can_be_resized,
        attached_clients_get_output_and_give_input,
        input_ends_with_the_first_client_if_asked,
        a_container_with_a_terminal_can_be_attached,
        a_slow_client_loses_nothing,
        ports_are_forwarded_into_the_pod;
};

fn main() {
    if let Some(code) = runtime::dispatch(std::env::args_os()) {
        end(code);
    }
    let filters: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    if std::env::args().any(|a| a == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        return println!("skipped: needs root");
    }
    if !std::path::Path::new("/bin/busybox").exists() {
        return println!("skipped: needs busybox-static");
    }
    let tmp = host::private_tmp();
    let runtime = tokio::runtime::Runtime::new().expect("tokio starts");
    let mut failed = Vec::new();
    for (name, test) in TESTS
        .iter()
        .filter(|(n, _)| filters.is_empty() || filters.iter().any(|f| n.contains(f)))
    {
        let mut host = Host::new(tmp.path(), name);
        let result = runtime.block_on(async {
            let body =
                AssertUnwindSafe(tokio::time::timeout(TEST_LIMIT, test(&mut host))).catch_unwind();
            match body.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err("took too long".to_owned()),
                Err(panic) => Err(panic
                    .downcast::<String>()
                    .map_or_else(|_| "failed".to_owned(), |text| *text)),
            }
        });
        let left = host.clean_up();
        match (result, left.is_empty()) {
            (Ok(()), true) => println!("test {name} ... ok"),
            (result, _) => {
                println!("test {name} ... FAILED {result:?} left behind: {left:?}");
                failed.push(name);
            }
        }
    }
    let _ = nix::mount::umount2(tmp.path(), nix::mount::MntFlags::MNT_DETACH);
    drop(tmp);
    println!("{} failed", failed.len());
    if !failed.is_empty() {
        end(1);
    }
}

#[expect(
    clippy::disallowed_methods,
    clippy::exit,
    reason = "a test binary ends its own process, as kogge does"
)]
fn end(code: i32) -> ! {
    std::process::exit(code)
}
