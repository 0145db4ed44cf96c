// SPDX-License-Identifier: GPL-2.0

//! Tests of the parser, on output of a 7.3.4 kernel.

use super::*;

const MMAP: &str = "\
# tracer: function_graph
#
#  TASK/PID         DURATION                  FUNCTION CALLS
#  |    |           |   |                     |   |   |   |
    rmmap-231    |               |  __x64_sys_mmap() {
    rmmap-231    |               |    /* enter___x64_sys_mmap: (__x64_sys_mmap+0x4/0x60) addr=0x0 len=0x10000 prot=0x3 flags=0x1 fd=0x5 offset=0x0 */
    rmmap-231    |               |    ksys_mmap_pgoff() {
    rmmap-231    |               |      /* enter_do_mmap: (do_mmap+0x4/0x5c0) addr=0x0 len=0x10000 prot=0x3 flags=0x1 pgoff=0x0 */
    rmmap-231    |               |      do_mmap() {
    rmmap-231    |               |        /* vm_unmapped_area: addr=0x7f8eda8a3000 err=0 len=0x38000 */
    other-99     |   1.000 us    |  do_mmap();
    rmmap-231    | + 10.597 us   |        vma_merge_new_range();
    rmmap-231    |               |        /* mmap: ino=202 address=0x7f00 len=0x10000 pgoff=0x0 vm_flags=read|write|shared hook=mmap ret=0 */
    rmmap-231    | ! 117.950 us  |      } /* do_mmap */
    rmmap-231    |               |      /* exit_do_mmap: (vm_mmap_pgoff+0xf2/0x1d0 <- do_mmap) ret=0x7f8eda8a3000 */
    rmmap-231    |               |      /* exit_ksys_mmap_pgoff: (x+0xf2/0x1d0 <- ksys_mmap_pgoff) ret=0xfffffffffffffffa */
    rmmap-231    | ! 130.000 us  |    } /* ksys_mmap_pgoff */
    rmmap-231    | # 1300.500 us |  } /* __x64_sys_mmap */
";

const FAULT: &str = "\
    rmmap-7      |               |  /* page_fault_user: address=0x7f00 ip=0x55 error_code=0x6 */
    rmmap-7      |               |  handle_mm_fault() {
    rmmap-7      |               |    __do_fault() {
    rmmap-7      |   1.500 us    |      filemap_get_entry();
    rmmap-7      |   2.500 us    |      filemap_add_folio();
    rmmap-7      |               |      /* fault: ino=202 address=0x7f00 pgoff=0x0 access=write flags=WRITE|USER answer=new order=0 */
    rmmap-7      |   6.000 us    |    } /* __do_fault */
    rmmap-7      |   0.500 us    |    finish_fault();
    rmmap-7      |   9.000 us    |  } /* handle_mm_fault */
    rmmap-7      |   3.000 us    |  do_mmap();
";

/// Returns the tree as nested brackets.
fn brackets(call: &Call) -> String {
    let calls: Vec<_> = call.calls.iter().map(brackets).collect();
    format!("{}({})", call.name, calls.join(" "))
}

#[test]
fn calls_nest_thread_by_thread() {
    let roots = parse(MMAP);
    let trees: Vec<_> = roots.iter().map(brackets).collect();
    assert_eq!(
        trees,
        [
            "do_mmap()",
            "__x64_sys_mmap(ksys_mmap_pgoff(do_mmap(vm_unmapped_area() vma_merge_new_range() \
             rmmap:mmap())))"
        ]
    );
    assert_eq!((roots[0].thread, roots[1].thread), (99, 231));
    assert_eq!(roots[1].us, Some(1300.5));
}

#[test]
fn arguments_and_return_values_find_their_function() {
    let roots = parse(MMAP);
    let syscall = &roots[1];
    assert_eq!(syscall.arg("prot").unwrap().text, "PROT_READ|PROT_WRITE");
    assert_eq!(syscall.arg("fd").unwrap().text, "5");
    // The probe may print before the function's own line, and after the one that ends it.
    let do_mmap = syscall.named("do_mmap").unwrap();
    assert_eq!(do_mmap.arg("flags").unwrap().text, "MAP_SHARED");
    assert_eq!(do_mmap.ret.as_ref().unwrap().text, "0x7f8eda8a3000");
    let ksys = syscall
        .named("ksys_mmap_pgoff")
        .unwrap()
        .ret
        .as_ref()
        .unwrap();
    assert_eq!((ksys.text.as_str(), ksys.error), ("ENXIO", true));
}

#[test]
fn the_hook_is_seen_by_its_tracepoint() {
    let roots = parse(MMAP);
    let hook = roots[1].named("rmmap:mmap").unwrap();
    assert_eq!(hook.kind, Kind::Module);
    assert_eq!(hook.arg("vm_flags").unwrap().text, "read|write|shared");
    assert_eq!(hook.ret.as_ref().unwrap().text, "0");
    let failed = parse(&MMAP.replace("hook=mmap ret=0", "hook=mmap ret=-6"));
    let ret = failed[1].named("rmmap:mmap").unwrap().ret.as_ref().unwrap();
    assert_eq!((ret.text.as_str(), ret.error), ("ENXIO", true));
    assert_eq!(
        roots[1].named("vm_unmapped_area").unwrap().kind,
        Kind::Event
    );
}

#[test]
fn the_handler_gets_what_it_called_and_the_exception_its_fault() {
    let roots = parse(FAULT);
    let trees: Vec<_> = roots.iter().map(brackets).collect();
    assert_eq!(
        trees,
        [
            "page fault(handle_mm_fault(__do_fault(rmmap:fault(filemap_get_entry() \
             filemap_add_folio())) finish_fault()))",
            "do_mmap()"
        ]
    );
    assert_eq!(roots[0].us, Some(9.0));
    assert_eq!(roots[0].arg("error_code").unwrap().text, "write|user");
}

#[test]
fn a_recording_that_begins_or_ends_in_the_middle_keeps_what_it_has() {
    let from = MMAP
        .find("    rmmap-231    |               |      do_mmap() {")
        .unwrap();
    let late = parse(&MMAP[from..]);
    assert_eq!(
        brackets(&late[1]),
        "do_mmap(vm_unmapped_area() vma_merge_new_range() rmmap:mmap())"
    );
    let to = MMAP.find("    rmmap-231    | ! 117").unwrap();
    let early = parse(&MMAP[..to]);
    assert_eq!(early[1].name, "__x64_sys_mmap");
    assert_eq!(early[1].us, None);
    assert!(early[1].named("rmmap:mmap").is_some());
}

#[test]
fn an_exception_that_is_no_fault_of_the_memory_is_closed() {
    let text = FAULT.replace("handle_mm_fault", "something_else");
    let roots = parse(&text);
    assert_eq!(roots[0].name, PAGE_FAULT);
    assert!(roots[0].calls.is_empty());
    assert_eq!(roots[1].name, "something_else");
}

#[test]
fn lines_are_read() {
    let parse = |line| parse_line(line);
    let other = "------------------------------------------";
    assert_eq!(parse(other), None);
    assert_eq!(parse(" 0)    bash-118    =>    cat-124    "), None);
    assert_eq!(
        parse(" a-b-12 |  | f [rmmap]();"),
        Some((12, Line::Leaf("f", None)))
    );
    assert_eq!(
        parse(" kworker/0:1-12 |  | } /* f [rmmap] */"),
        Some((12, Line::Exit(Some("f"), None)))
    );
    assert_eq!(
        parse("<idle>-0 | $ 1234567 us | }"),
        Some((0, Line::Exit(None, Some(1_234_567.0))))
    );
}

#[test]
fn text_that_is_no_recording_gives_no_trees() {
    for text in [
        "",
        "x",
        "|||",
        "a-1|b|",
        "a-1|b|/* x",
        "a-1||}",
        "a-1||(",
        "a-1||/*:*/",
    ] {
        let roots = parse(text);
        assert!(roots.len() <= 1, "{text}");
    }
}
