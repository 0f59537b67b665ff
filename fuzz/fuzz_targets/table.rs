//! Coordinates as MOT and STO.
#![no_main]

use kinefit::session::coordinates;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(table) = coordinates::read_str("f", text) {
        assert_eq!(table.values.len(), table.rows() * table.names.len());
        assert!(table.values.iter().flatten().chain(&table.times).all(|x| x.is_finite()));
        let _ = table.in_si(|name| name.len() % 2 == 0).to_mot("f");
    }
});
