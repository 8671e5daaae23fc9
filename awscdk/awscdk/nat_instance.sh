# Turn an Amazon Linux 2023 instance into a NAT. nat_instance.py adds the first line and the signal.
set -euo pipefail

# Without swap, dnf runs out of the 512 MB of a nano instance.
dd if=/dev/zero of=/swapfile bs=1M count=1024 status=none
chmod 600 /swapfile
mkswap /swapfile
swapon /swapfile
echo "/swapfile none swap defaults 0 0" >> /etc/fstab

# After the boot, the network may not be ready, and other processes use dnf.
install_packages() {
  for _ in {1..20}; do
    dnf install --assumeyes --setopt=install_weak_deps=False --setopt=ip_resolve=4 "$@" && return
    sleep 15
  done
  return 1
}
install_packages aws-cfn-bootstrap nftables

# The rules and the setting must survive a reboot, and user data runs once only.
echo "net.ipv4.ip_forward = 1" > /etc/sysctl.d/90-nat.conf
cat > /etc/nat.nft <<'RULES'
table ip nat
delete table ip nat
table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat
    oifname != "lo" masquerade
  }
}
RULES
cat > /etc/systemd/system/nat.service <<'UNIT'
[Unit]
Description=Network address translation

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft --file /etc/nat.nft

[Install]
WantedBy=multi-user.target
UNIT
sysctl --load=/etc/sysctl.d/90-nat.conf
systemctl daemon-reload
systemctl enable --now nat.service

nft list chain ip nat postrouting | grep masquerade
[[ $(sysctl --values net.ipv4.ip_forward) == 1 ]]
