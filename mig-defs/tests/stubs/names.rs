// SPDX-License-Identifier: GPL-2.0-or-later
//! Names that mean something else in Rust or would fall together there: the stubs compile, and everything arrives where it should.

use crate::port::{Disposition, PortName};
use crate::{AnyRight, Result, SERVER, with_server};

mod user {
    include!("../good/golden/names.user.rs");
}
mod server {
    include!("../good/golden/names.server.rs");
}

struct Names;

impl server::Server for Names {
    fn VmRegion(&mut self, _: PortName) -> Result<server::VmRegionOut__> {
        Ok(server::VmRegionOut__ { a: 1, b: 2 })
    }

    fn vm__region(&mut self, _: PortName) -> Result<server::VmRegionOut___> {
        Ok(server::VmRegionOut___ { a: 3, b: 4 })
    }

    fn self__(&mut self, _: PortName, self___: i32, self_: i32) -> Result<i32> {
        Ok(self___ - self_)
    }

    fn INTEGER_32(&mut self, _: PortName, x: i32, large_x: i32) -> Result<()> {
        assert_eq!((x, large_x), (1, 2));
        Ok(())
    }

    fn serve_one(&mut self, _: PortName, r: AnyRight, r_poly: AnyRight, r_poly_: i32) -> Result<()> {
        assert_eq!((r.name().0, r_poly.name().0, r_poly_), (3, 4, 5));
        Ok(())
    }

    fn serve_two(&mut self, _: PortName, i: i32, i_out: i32, list_count: i32) -> Result<server::ServeTwoOut> {
        Ok(server::ServeTwoOut { i: i + i_out, list: vec![list_count; 2] })
    }

    fn one(&mut self, _: PortName, words: i32, mig_words: i32, request: i32, mig_request: i32) -> Result<()> {
        assert_eq!((words, mig_words, request, mig_request), (1, 2, 3, 4));
        Ok(())
    }
}

#[test]
fn names_that_differ_in_the_defs_differ_in_rust() {
    with_server(|request, reply| server::demux(&mut Names, request, reply));
    let (one, two) = (user::VmRegion(SERVER).expect("a reply"), user::vm__region(SERVER).expect("a reply"));
    assert_eq!((one.a, one.b, two.a, two.b), (1, 2, 3, 4));
    assert_eq!(user::self__(SERVER, 9, 4), Ok(5));
    assert_eq!(user::INTEGER_32(SERVER, 1, 2), Ok(()));
    let copied = Disposition::CopySend;
    assert_eq!(user::serve_one(SERVER, PortName(3), copied, PortName(4), copied, 5), Ok(()));
    let (mut both, mut list) = (20, [0; 3]);
    assert_eq!((user::serve_two(SERVER, &mut both, 3, &mut list, 7), both, list), (Ok(2), 23, [7, 7, 0]));
    assert_eq!(user::one(SERVER, 1, 2, 3, 4), Ok(()));
}
